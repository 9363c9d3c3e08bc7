"""The tiers of a worker and what is under way to them. L1 is memory; later tiers stand behind it here."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

from edgeproxy.cache import key as cache_key
from edgeproxy.cache.collapse import Flights, Passing
from edgeproxy.cache.memory import Memory
from edgeproxy.clock import Clock
from edgeproxy.observe.metrics import Metrics


class Tiers:
    """Where stored answers are: shared by all routes of a worker, kept over reloads."""

    def __init__(self, memory_limit: int, clock: Clock, metrics: Metrics) -> None:
        self.memory = Memory(memory_limit, metrics)
        self.flights = Flights()
        self.passing = Passing(clock.monotonic)
        self._tasks: set[asyncio.Task[None]] = set()

    def purge(self, url: str) -> int:
        """Forget every variant of a URL, and keep fetches that are under way from bringing it back.

        Returns the number of entries forgotten. Raises ValueError for what is no absolute URL.
        """
        return self.purge_key(cache_key.of_url(url))

    def purge_key(self, key: bytes) -> int:
        self.flights.purge(key)
        self.passing.discard(key)
        return self.memory.purge(key)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a fetch that no client's leaving may cancel."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
