"""Whether who calls itself a crawler calls from where its operator's crawlers do.

Two ways: the operator publishes the address ranges, or its name in DNS, reverse and forward (the address has a name
below the operator's domain, and that name has the address). Ranges are at hand; DNS is asked in the background, so the
first requests of a crawler pass as neither verified nor exposed.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple, Protocol

from edgeproxy.clock import Clock
from edgeproxy.http.addresses import AddressSet

VERIFIED, UNKNOWN, EXPOSED = 1, 0, -1

KEPT = 16_384  # answers remembered
PENDING = 256  # addresses asked about at a time; what comes beyond stays unknown
PATIENCE = 15.0  # seconds for DNS to answer both questions
LASTING = {VERIFIED: 86_400.0, EXPOSED: 3_600.0, UNKNOWN: 60.0}  # seconds until an answer is asked for anew


class Operator(NamedTuple):
    """Where a crawler's operator says it comes from: ``domains`` its names end in, and where its ``ranges`` are
    published (URLs, files)."""

    domains: tuple[str, ...] = ()
    ranges: tuple[str, ...] = ()


class Resolver(Protocol):
    """DNS. Both raise OSError or ValueError when there is no telling."""

    async def name_of(self, address: str) -> str | None:
        """The name of an address, None if it has none."""

    async def addresses_of(self, name: str) -> frozenset[str]:
        """The addresses of a name, as RFC 5952 writes them."""


class _Answer(NamedTuple):
    verdict: int
    until: float


def known_operators() -> dict[str, Operator]:
    """The operators whose help pages say how to know their crawlers, by the crawler's name."""
    told = json.loads(Path(__file__).with_name("data").joinpath("operators.json").read_text(encoding="utf-8"))
    return {name: Operator(tuple(said["domains"]), tuple(said["ranges"])) for name, said in told.items()}


class Crawlers:
    """``operators`` by crawler's name, also for names it begins (``googlebot`` for ``googlebot-image``); ``ranges``:
    their published addresses, as far as they are known by now; ``resolver``: None to ask no DNS. ``count`` is told
    each outcome: ``verified``, ``exposed``, ``unknown`` (DNS failed), ``crowded`` (too many to ask about)."""

    def __init__(
        self,
        operators: Mapping[str, Operator],
        ranges: Callable[[str], AddressSet | None],
        resolver: Resolver | None,
        clock: Clock,
        count: Callable[[str], None],
    ) -> None:
        self._operators = operators
        self._ranges = ranges
        self._resolver = resolver
        self._clock = clock
        self._count = count
        self._new: dict[tuple[str, str], _Answer] = {}
        self._old: dict[tuple[str, str], _Answer] = {}
        self._asking: dict[tuple[str, str], asyncio.Task[None]] = {}

    def ask(self, name: str, client: str) -> int:
        """VERIFIED, EXPOSED or, as yet or for good, UNKNOWN. Called in the event loop; waits for nothing."""
        crawler = self._crawler(name)
        if not crawler or not client:  # "" on a Unix socket
            return UNKNOWN
        ranges = self._ranges(crawler)
        if ranges is not None and client in ranges:
            return VERIFIED
        if self._resolver is None or not self._operators[crawler].domains:
            return UNKNOWN if ranges is None else EXPOSED
        key = (crawler, client)
        answer = self._new.get(key) or self._old.get(key)
        if answer is None or answer.until < self._clock.monotonic():
            self._begin(key, self._resolver)
        return UNKNOWN if answer is None else answer.verdict

    def _crawler(self, name: str) -> str:
        """The name under which the crawler's operator is known, "" if it is not."""
        while name and name not in self._operators:
            name = name.rpartition("-")[0]
        return name

    def _begin(self, key: tuple[str, str], resolver: Resolver) -> None:
        if key in self._asking:
            return
        if len(self._asking) >= PENDING:
            self._count("crowded")
            return
        self._asking[key] = task = asyncio.get_running_loop().create_task(self._find_out(key, resolver))
        task.add_done_callback(lambda _: self._asking.pop(key, None))

    async def _find_out(self, key: tuple[str, str], resolver: Resolver) -> None:
        crawler, client = key
        try:
            async with asyncio.timeout(PATIENCE):
                name = await resolver.name_of(client)
                genuine = (
                    name is not None
                    and _is_below(name, self._operators[crawler].domains)
                    and client in await resolver.addresses_of(name)
                )
            verdict = VERIFIED if genuine else EXPOSED
        except (OSError, TimeoutError, ValueError):
            before = self._new.get(key) or self._old.get(key)
            verdict = UNKNOWN if before is None else before.verdict  # DNS is away: what was known stays
            self._remember(key, verdict, LASTING[UNKNOWN])
            self._count("unknown")
            return
        self._remember(key, verdict, LASTING[verdict])
        self._count("verified" if genuine else "exposed")

    def _remember(self, key: tuple[str, str], verdict: int, lasting: float) -> None:
        if len(self._new) >= KEPT // 2:
            self._old, self._new = self._new, {}
        self._new[key] = _Answer(verdict, self._clock.monotonic() + lasting)

    async def stop(self) -> None:
        """Ask no further."""
        tasks = list(self._asking.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def __repr__(self) -> str:
        return f"<Crawlers of {len(self._operators)} operators, {len(self)} answers, {len(self._asking)} asked for>"


def _is_below(name: str, domains: tuple[str, ...]) -> bool:
    labels = "." + name.rstrip(".").lower()
    return any(labels.endswith("." + domain) for domain in domains)
