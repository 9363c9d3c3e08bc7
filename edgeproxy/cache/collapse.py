"""Collapsing: one fetch for concurrent misses of one key.

A fetch is a flight of its own: the client that caused it may leave and the flight goes on. Whoever misses meanwhile
waits for its head. A stored answer is shared; one that may not be shared releases the others at once, and the key is
remembered so that they do not queue up again (hit-for-miss). Where a flight brought another variant, or broke down over
its own leader, one of those who waited leads the next.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator
from typing import Final

from edgeproxy.cache.entry import Entry
from edgeproxy.cache.marks import Ticket
from edgeproxy.errors import EdgeError
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Response

PASS_TIME: Final = 30.0  # seconds a key whose answer could not be shared is not collapsed
PASS_LIMIT: Final = 65_536  # keys remembered
PATIENCE: Final = 8  # flights that one exchange waits for, one after the other, before it asks on its own


class Flight:
    """A fetch under way. Settled once, with an entry all may use, an answer for the leader alone, or an error.

    ``demanded``: begun for a client that wants more than what is stored (a reload).
    """

    __slots__ = (
        "_landed",
        "demanded",
        "entry",
        "error",
        "leaderless",
        "own",
        "response",
        "stands_in",
        "ticket",
        "verdict",
    )

    def __init__(self, *, demanded: bool = False) -> None:
        self.demanded = demanded
        self._landed: asyncio.Event = asyncio.Event()
        self.entry: Entry | None = None
        self.response: Response | None = None
        self.error: Exception | None = None
        self.verdict = b""  # how the fetch went, as Cache-Status parameters
        self.stands_in = False
        self.own: Headers = {}  # fields of the entry's answer that only the leader may have
        self.ticket: Ticket | None = None  # with which L3 takes what it brings
        self.leaderless = False  # the client that caused it has left

    async def head(self) -> None:
        """Wait until the answer's head is here."""
        await self._landed.wait()

    @property
    def landed(self) -> bool:
        return self._landed.is_set()

    def share(self, entry: Entry, verdict: bytes, *, stands_in: bool = False) -> None:
        """An entry that all may use; ``stands_in``: a stale one, in place of an error."""
        self.entry, self.verdict, self.stands_in = entry, verdict, stands_in
        self._landed.set()

    def deliver(self, response: Response, verdict: bytes) -> None:
        """An answer that only the leader may have."""
        self.response, self.verdict = response, verdict
        if self.leaderless and not isinstance(response.body, bytes):
            response.body.close()
        self._landed.set()

    def fail(self, error: Exception) -> None:
        self.error = error
        self._landed.set()

    def leave(self) -> None:
        """The leader's client is gone."""
        self.leaderless = True
        if self.response is not None and not isinstance(self.response.body, bytes):
            self.response.body.close()

    @property
    def shared_error(self) -> EdgeError | None:
        """An error that tells something of the origin, and so answers all who wait."""
        return self.error if isinstance(self.error, EdgeError) and self.error.source == "origin" else None


class Flights:
    """Flights that may be joined, by key and by the variant expected of them (b"" while nothing is known)."""

    def __init__(self) -> None:
        self._by_key: dict[bytes, dict[bytes, Flight]] = {}

    def waiting(self, key: bytes, variant: bytes) -> Flight | None:
        """The one that has not landed yet. What has landed is in the cache, or is not to be shared."""
        flight = self._by_key.get(key, {}).get(variant)
        return None if flight is None or flight.landed else flight

    def add(self, key: bytes, variant: bytes, flight: Flight) -> None:
        self._by_key.setdefault(key, {})[variant] = flight

    def remove(self, key: bytes, variant: bytes, flight: Flight) -> None:
        """Nothing if another one has taken its place."""
        flights = self._by_key.get(key, {})
        if flights.get(variant) is flight:
            del flights[variant]
            if not flights:
                del self._by_key[key]

    def purge(self, key: bytes) -> None:
        """Let nobody join what is under way any more; :class:`PurgeLog` keeps it from being stored."""
        self._by_key.pop(key, None)

    def __iter__(self) -> Iterator[bytes]:
        """The keys something is under way for."""
        return iter(self._by_key)

    def __repr__(self) -> str:
        return f"<Flights {sum(map(len, self._by_key.values()))} under way>"


class Passing:
    """Keys not worth collapsing for a while: two generations, so that forgetting costs nothing."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._fresh: set[int] = set()  # hashes: keys may be long, and one too many does no harm
        self._old: set[int] = set()
        self._turn = now() + PASS_TIME

    def add(self, key: bytes) -> None:
        self._age()
        self._fresh.add(hash(key))
        if len(self._fresh) > PASS_LIMIT // 2:
            self._old, self._fresh = self._fresh, set()

    def __contains__(self, key: bytes) -> bool:
        if self._now() >= self._turn:
            self._age()
        known = hash(key)
        return known in self._fresh or known in self._old

    def discard(self, key: bytes) -> None:
        self._fresh.discard(hash(key))
        self._old.discard(hash(key))

    def _age(self) -> None:
        now = self._now()
        if now >= self._turn:
            self._old = self._fresh if now < self._turn + PASS_TIME else set()
            self._fresh = set()
            self._turn = now + PASS_TIME
