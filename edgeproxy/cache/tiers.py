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

PARTITION_LIMIT = 16_384  # more than one configuration can have


class Tiers:
    """Where stored answers are: shared by all routes of a worker, kept over reloads."""

    def __init__(self, memory_limit: int, clock: Clock, metrics: Metrics) -> None:
        self.memory = Memory(memory_limit, metrics)
        self.flights = Flights()
        self.passing = Passing(clock.monotonic)
        self._partitions: set[bytes] = set()
        self._tasks: set[asyncio.Task[None]] = set()

    def purge(self, url: str) -> int:
        """Forget every variant of a URL, in every partition, and keep fetches that are under way from bringing it back.

        Returns the number of entries forgotten. Raises ValueError for what is no absolute URL.
        """
        return self.purge_key(cache_key.of_url(url))

    def purge_key(self, key: bytes) -> int:
        """The same by the key of a request, which stands in no partition."""
        return self._forget(key) + sum(self._forget(cache_key.within(key, name)) for name in self._partitions)

    def open(self, partition: bytes) -> None:
        """Let a partition be filled and reached by purges. Where reloads have brought too many, all are emptied."""
        if partition in self._partitions:
            return
        if len(self._partitions) >= PARTITION_LIMIT:
            for key in [*self.memory.resources, *self.flights]:
                if b"#" in key:
                    self._forget(key)
            self._partitions.clear()
        self._partitions.add(partition)

    def _forget(self, key: bytes) -> int:
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
