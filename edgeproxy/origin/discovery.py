"""What a pool's configured endpoints lead to: names become addresses, again and again; a file brings more.

An endpoint that stays, stays the same object, with its connections and all that is known of it.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

from edgeproxy.config.pools import MOST_ENDPOINTS, EndpointConfig, PoolConfig
from edgeproxy.config.units import EndpointValue, parse_endpoint
from edgeproxy.config.watch import Watch
from edgeproxy.origin import listing
from edgeproxy.origin.endpoint import Endpoint
from edgeproxy.origin.names import Found, Names, UnresolvedError, is_address, together, ways

logger = logging.getLogger("edgeproxy.origin")

START_WAIT = 2.0  # seconds a pool's start waits for the first answers to its names
AGAIN = 1.0  # seconds between look-ups while a name has never had an address, and the shortest time between any
AGAIN_KNOWN = 5.0  # the same while its last addresses are used
LOWEST_PRIORITY = 15


class Spot(NamedTuple):
    """One machine that an entry leads to: its ``addresses``, the first of which it is known by, and its port. Its
    ``weight`` and ``rank`` are those among the machines of its service: the entry's are multiplied and added."""

    addresses: tuple[str, ...]
    port: int
    weight: int = 1
    rank: int = 0


Make = Callable[[EndpointConfig, EndpointValue, tuple[str, ...]], Endpoint]
Changed = Callable[[Sequence[Endpoint]], None]


class _Group:
    """What one configured endpoint has become."""

    __slots__ = ("by_place", "entry", "known", "lost", "spots", "task", "value")

    def __init__(self, entry: EndpointConfig) -> None:
        self.entry = entry
        self.value = parse_endpoint(entry.url)
        self.by_place: dict[tuple[str, int], Endpoint] = {}
        self.spots: Sequence[Spot] = ()
        self.known: dict[str, Found] = {}  # the last answer to each name
        self.lost = False  # the name has no answer, and the log knows
        self.task: asyncio.Task[None] | None = None

    @property
    def named(self) -> bool:
        """Whether it needs the resolver."""
        return bool(self.value.service) or not (self.value.path or is_address(self.value.host))


class Discovery:
    """``endpoints`` are all in service, in the order of the configuration. ``changed`` is told, once for all that came
    together, of those that have gone."""

    def __init__(self, pool: str, config: PoolConfig, make: Make, changed: Changed) -> None:
        """Raises ValueError if the endpoints' file cannot be used."""
        self.endpoints: list[Endpoint] = []
        self._pool = pool
        self._config = config
        self._make = make
        self._changed = changed
        self._names = Names(config.resolver)
        self._groups = self._read()
        self._gone: list[Endpoint] = []  # and nobody has been told
        self._count = 0  # of all groups' endpoints
        self._clipped = False  # there were more than may be, and the log knows
        self._telling: asyncio.Handle | None = None
        self._watching: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Names that do not answer soon are waited for no longer; they join when they do."""
        firsts = [first for group in self._groups if (first := self._begin(group)) is not None]
        if firsts:
            await asyncio.wait(firsts, timeout=START_WAIT)
        self._tell()
        if self._config.endpoints_file is not None:
            watch = Watch([self._config.endpoints_file])
            self._watching = asyncio.create_task(watch.run(self._read_again))

    async def stop(self) -> None:
        """End look-ups; the endpoints stay as they are."""
        tasks = [task for task in (self._watching, *(group.task for group in self._groups)) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._telling is not None:
            self._telling.cancel()

    # Entries.

    def _read(self) -> list[_Group]:
        """All entries, as if nothing were known of them."""
        file = self._config.endpoints_file
        entries = self._config.endpoints + (() if file is None else listing.read(file, self._config))
        return [_Group(entry) for entry in entries]

    async def _read_again(self) -> None:
        """The file changed. An entry whose URL stays keeps its endpoints; the rest of it takes effect on them."""
        try:
            read = await asyncio.to_thread(self._read)
        except ValueError as error:
            logger.error("pool %s: %s; the endpoints stay as they were", self._pool, error)
            return
        before: dict[str, list[_Group]] = {}
        for group in self._groups:
            before.setdefault(group.entry.url, []).append(group)
        self._groups = [before[new.entry.url].pop(0) if before.get(new.entry.url) else new for new in read]
        for gone in (group for left in before.values() for group in left):
            self._end(gone)
        for group, new in zip(self._groups, read, strict=True):
            if group.task is None and not group.by_place:
                self._begin(group)
            elif group.entry != new.entry:
                group.entry = new.entry
                self._settle(group, group.spots)
        logger.info("pool %s: %s read again, %d endpoints", self._pool, self._config.endpoints_file, len(read))
        self._soon()

    def _begin(self, group: _Group) -> asyncio.Future[None] | None:
        """Put a group into service; what is done when its first look-up is, if it needs one."""
        if not group.named:
            value = group.value
            self._settle(group, [Spot((value.host,), value.port)])
            return None
        first = asyncio.get_running_loop().create_future()
        group.task = asyncio.create_task(self._follow(group, first))
        return first

    def _end(self, group: _Group) -> None:
        if group.task is not None:
            group.task.cancel()
        self._settle(group, ())

    # Names.

    async def _follow(self, group: _Group, first: asyncio.Future[None]) -> None:
        while True:
            seconds = await self._look(group)
            if not first.done():
                first.set_result(None)
            await asyncio.sleep(seconds)

    async def _look(self, group: _Group) -> float:
        """Look a group's name up; without an answer it keeps the addresses it had. The seconds until the next time."""
        name = group.value.service or group.value.host
        try:
            spots, ttl = await (self._services(group) if group.value.service else self._addresses(group))
        except UnresolvedError as error:
            if not group.lost:
                kept = "; its last addresses are used" if group.by_place else ""
                logger.warning("pool %s: %s has no address: %s%s", self._pool, name, error, kept)
            group.lost = True
            return min(AGAIN_KNOWN, self._config.resolve_every) if group.by_place else AGAIN
        if group.lost:
            logger.info("pool %s: %s has an address again", self._pool, name)
        group.lost = False
        self._settle(group, spots)
        return max(AGAIN, min(ttl, self._config.resolve_every))

    async def _addresses(self, group: _Group) -> tuple[list[Spot], float]:
        value = group.value
        found = together(await self._names.addresses(value.host), group.known.get(value.host))
        group.known = {value.host: found}
        return [Spot(each, value.port) for each in ways(found)], found.ttl

    async def _services(self, group: _Group) -> tuple[list[Spot], float]:
        """A service's hosts. Each order of RFC 2782 becomes the next priority; one without an address is left out."""
        services, ttl = await self._names.services(group.value.service)
        ranks = {priority: rank for rank, priority in enumerate(sorted({each.priority for each in services}))}
        hosts = list(dict.fromkeys(each.host for each in services))
        answers = await asyncio.gather(*map(self._names.addresses, hosts), return_exceptions=True)
        known: dict[str, Found] = {}
        for host, answer in zip(hosts, answers, strict=True):
            last = group.known.get(host)
            if isinstance(answer, Found):
                known[host] = together(answer, last)
                ttl = min(ttl, answer.ttl)
            elif not isinstance(answer, UnresolvedError):
                raise answer
            elif last is not None:
                known[host] = last
        if not known:
            raise UnresolvedError("none of its hosts has an address")
        group.known = known
        spots = [
            Spot(addresses, each.port, max(1, each.weight), ranks[each.priority])
            for each in services
            if each.host in known
            for addresses in ways(known[each.host])
        ]
        return spots, ttl

    # Endpoints.

    def _settle(self, group: _Group, spots: Sequence[Spot]) -> None:
        """Bring a group to these spots, as many as the pool has room for."""
        present, group.by_place, group.spots = group.by_place, {}, spots
        self._count -= len(present)
        room = MOST_ENDPOINTS - self._count
        if len(spots) > room and not self._clipped:
            logger.warning("pool %s: more than %d addresses; the others are not used", self._pool, MOST_ENDPOINTS)
            self._clipped = True
        entry, altered = group.entry, False
        for spot in spots[:room]:
            place = spot.addresses[0], spot.port
            endpoint = present.pop(place, None) or group.by_place.get(place)
            if endpoint is None:
                altered = True
                endpoint = self._make(entry, group.value._replace(port=spot.port), spot.addresses)
            weight, priority = spot.weight * entry.weight, min(entry.priority + spot.rank, LOWEST_PRIORITY)
            if (endpoint.entry, endpoint.weight, endpoint.priority) != (entry, weight, priority):
                altered = True
                endpoint.place(entry, weight, priority)
            endpoint.dialer.reach(spot.addresses)
            group.by_place[place] = endpoint
        self._count += len(group.by_place)
        self._gone += present.values()
        if altered or present:
            self._soon()

    def _soon(self) -> None:
        """Tell of changes, once for all that come in this turn of the loop."""
        if self._telling is None:
            self._telling = asyncio.get_running_loop().call_soon(self._tell)

    def _tell(self) -> None:
        if self._telling is not None:
            self._telling.cancel()
            self._telling = None
        gone, self._gone = self._gone, []
        self.endpoints = [endpoint for group in self._groups for endpoint in group.by_place.values()]
        self._changed(gone)

    def __repr__(self) -> str:
        lost = [group.entry.url for group in self._groups if group.lost]
        return f"<Discovery {len(self.endpoints)} endpoints{f', lost {lost}' if lost else ''}>"
