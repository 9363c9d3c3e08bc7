"""Verifying crawlers: their published ranges, DNS, and what both have said so far."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from edgeproxy.bots.crawlers import Crawlers, Operator
from edgeproxy.bots.ranges import Load, Ranges
from edgeproxy.bots.resolver import SystemResolver
from edgeproxy.clock import Clock


class Verification:
    """``operators`` by crawler, with what they are to be known by; ``load`` reads their ranges every ``refresh``
    seconds. ``count`` is told what came of asking DNS. :attr:`ask` is :meth:`Crawlers.ask`."""

    def __init__(
        self,
        operators: Mapping[str, Operator],
        load: Load,
        refresh: float,
        clock: Clock,
        count: Callable[[str], None],
    ) -> None:
        self._ranges = Ranges({name: operator.ranges for name, operator in operators.items()}, load, refresh)
        asks_dns = any(operator.domains for operator in operators.values())
        resolver = SystemResolver() if asks_dns else None
        self._crawlers = Crawlers(operators, self._ranges.of, resolver, clock, count)
        self.ask = self._crawlers.ask

    async def start(self) -> None:
        """Begin reading ranges."""
        await self._ranges.start()

    async def stop(self) -> None:
        """End all background work."""
        await self._ranges.stop()
        await self._crawlers.stop()

    def __repr__(self) -> str:
        return f"<Verification {self._ranges!r} {self._crawlers!r}>"
