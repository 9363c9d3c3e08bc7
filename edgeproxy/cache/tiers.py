"""The tiers of a worker and what is under way to them. L1 is memory; later tiers stand behind it here."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import Future
from pathlib import Path
from typing import Any, Final

from edgeproxy.cache import key as cache_key
from edgeproxy.cache.collapse import Flights, Passing
from edgeproxy.cache.disk import ROUNDED, Disk
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.improve import Improver
from edgeproxy.cache.improve import Settings as Improving
from edgeproxy.cache.marks import Ticket
from edgeproxy.cache.memory import Memory
from edgeproxy.cache.no_vary_search import Searches
from edgeproxy.cache.purge import Purge, PurgeLog
from edgeproxy.cache.recipe import Recipes
from edgeproxy.cache.redis import RedisTier
from edgeproxy.clock import Clock
from edgeproxy.http.headers import Headers
from edgeproxy.http.loops import PSEUDONYM
from edgeproxy.observe.metrics import Metrics
from edgeproxy.pipeline.improvement import Improvement
from edgeproxy.redis.link import Settings

PURGED_WITHIN: Final = (
    3.0  # seconds that an order to purge waits for L2; what takes longer goes on, hidden from everybody
)


class Tiers:
    """Where stored answers are: shared by all routes of a worker, kept over reloads. ``disk`` is L2 and ``redis`` L3,
    if they are on; ``improver`` makes better copies, if it may. ``spread`` has the node's other workers do purges that
    requests to this one amount to; None where there are none."""

    def __init__(self, memory_limit: int, clock: Clock, metrics: Metrics) -> None:
        self.clock = clock
        self._metrics = metrics
        self.memory = Memory(memory_limit, metrics, clock.wall)
        self.purges = PurgeLog(clock.wall)
        self.show_tags = False  # whether the fields that carry tags go on to clients
        self.node = PSEUDONYM  # what this node is called in requests
        self.recipes = Recipes()
        self.searches = Searches()
        self.flights = Flights()
        self.passing = Passing(clock.monotonic)
        self.disk: Disk | None = None
        self.redis: RedisTier | None = None
        self.improver: Improver | None = None
        self.spread: Callable[[list[Purge]], Awaitable[None]] | None = None
        self._purging: list[Future[int]] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def use_disk(self, folder: Path, size: int, inline: int) -> None:
        """Have L2 in this folder, of at most ``size`` bytes, with bodies of at most ``inline`` bytes read at once. One
        that is there already stays, with these limits."""
        if self.disk is not None and self.disk.folder == folder:
            self.disk.resize(size, inline)
            return
        disk = Disk(folder, size, inline, self._metrics)
        disk.start()
        await asyncio.to_thread(disk.ready)
        await self.leave_disk()
        self.disk = disk

    async def leave_disk(self) -> None:
        """Have no L2 any more; what is there stays there."""
        if self.disk is not None:
            disk, self.disk = self.disk, None
            await asyncio.to_thread(disk.close)

    async def use_redis(self, settings: Settings | None) -> None:
        """Have L3 there, or nowhere; one with the same settings stays."""
        redis = self.redis
        if redis is not None and redis.settings != settings:
            self.redis = None
            await redis.close()
        if settings is not None and self.redis is None:
            self.redis = RedisTier(settings, self.purges, self.clock, self._metrics)
            self.redis.start()

    async def use_improver(self, settings: Improving | None) -> None:
        """Have better copies made so, or none. Who waits for a turn goes on waiting over a change of settings."""
        if settings is None:
            improver, self.improver, self.memory.dropped = self.improver, None, None
            if improver is not None:
                await improver.close()
        elif self.improver is None:
            self.improver = Improver(self, settings, self._metrics)
            self.memory.dropped = self.improver.forget
        else:
            self.improver.use(settings)

    def purge(self, purge: Purge) -> int:
        """Forget what a purge matches, or mark it stale, and keep fetches under way from bringing it back.

        Returns the number of entries in L1 that it was about.
        """
        spellings = self.recipes.spellings(purge.kind, purge.value)
        return sum([self._purge(purge._replace(value=value)) for value in spellings])

    def _purge(self, purge: Purge) -> int:
        self.purges.add(purge)
        if self.disk is not None:
            self._purging = [done for done in self._purging if not done.done()]
            self._purging.append(self.disk.purge(purge))
        for key in [key for key in self.flights if purge.kind == "tag" or purge.matches(key, ())]:
            self.flights.purge(key)  # the tags of what is under way are not known yet
            self.passing.discard(key)
        if purge.kind == "url":
            self.passing.discard(purge.value)
        entries = self.memory.matching(purge)
        for entry in entries:
            if purge.soft:
                self.memory.grow(entry, entry.expire(purge.at))
            else:
                self.memory.drop(entry)
        return len(entries)

    async def purged(self) -> int:
        """Wait until L2 has done the purges that were ordered; returns the number of its entries they were about."""
        waiting, self._purging = [asyncio.wrap_future(done) for done in self._purging], []
        if not waiting:
            return 0
        done, _ = await asyncio.wait(waiting, timeout=PURGED_WITHIN)
        return sum([purge.result() for purge in done])

    def invalidate(self, key: bytes) -> Purge:
        """Forget what is stored for the URL of a key: it was changed (RFC 9111 §4.4). Returns what was done."""
        url = cache_key.url_of(key)
        purge = Purge("url", url, soft=False, at=self.clock.wall())
        self.purge(purge)
        if self.redis is not None:
            for spelling in self.recipes.spellings("url", url):
                self.redis.change(spelling)
        return purge

    def put(self, entry: Entry, began: float) -> None:
        """Store what a fetch brought that began at this wall time, unless it was purged meanwhile."""
        if self.purges.allows(entry.key, entry.tags, began):
            self.memory.put(entry)

    def whole(
        self, entry: Entry, began: float, ticket: Ticket | None = None, improvement: Improvement | None = None
    ) -> None:
        """Hand an entry on to the tiers behind memory, now that its body is here, or its fields are new. What has no
        body is left out; L3 takes what was asked for with its ticket. ``improvement``: how it is made better."""
        if not self.purges.allows(entry.key, entry.tags, began):
            return
        if self.disk is not None:
            self.disk.put(entry, began)
        if self.redis is not None and ticket is not None:
            self.redis.put(entry, ticket, began)
        if self.improver is not None:
            if improvement is None:
                self.improver.renewed(entry, began, ticket)
            else:
                self.improver.offer(entry, improvement, began, ticket)

    def improved(self, entry: Entry, began: float, ticket: Ticket | None) -> None:
        """Hand on an entry of L1 that has a better body now, as stale as it is: no purge but a soft one was about
        what is still there. Where a tier behind memory has a newer answer, that stays."""
        if self.disk is not None:
            self.disk.put(entry, began)
        if self.redis is not None and ticket is not None:
            self.redis.put(entry, ticket, began, again=True)

    @property
    def below_memory(self) -> bool:
        """Whether there is a tier behind memory."""
        return self.disk is not None or self.redis is not None

    def below(self, key: bytes, headers: Headers) -> Entry | None:
        """What L2 has for a request with these fields; a short one is in L1 from now on."""
        entry = None if self.disk is None else self.disk.get(key, headers)
        if entry is None:
            return None
        resource = self.memory.resources.get(key)
        if resource is not None and resource.vary != entry.vary:
            return None  # what L1 has is newer
        if entry.body is not None:
            self._promote(entry)
        return entry

    def newer(self, entry: Entry, headers: Headers) -> Entry | None:
        """What another worker has put into L2 since this entry was stored: a newer answer, or a better copy of it."""
        found = None if self.disk is None else self.disk.get(entry.key, headers)
        if found is None or not _is_ahead(found, entry):
            return None
        if found.body is not None:
            self._promote(found)
        return found

    def _promote(self, entry: Entry) -> None:
        self.memory.put(entry)
        if self.improver is not None:
            self.improver.borrow(entry)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run a fetch that no client's leaving may cancel."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self.use_improver(None)
        await self.use_redis(None)
        await self.leave_disk()


def _is_ahead(found: Entry, entry: Entry) -> bool:
    """Whether an entry of L2 is to take the place of one of L1."""
    if found.vary != entry.vary or found.base < entry.base - ROUNDED:
        return False
    smaller = found.body is not None and entry.body is not None and len(found.body) < len(entry.body)
    return smaller or found.base > entry.base + ROUNDED
