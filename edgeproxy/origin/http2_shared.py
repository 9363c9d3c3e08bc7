"""The connections to one endpoint that speaks HTTP/2: many requests share each, and one that is being opened."""

from __future__ import annotations

import asyncio
from typing import Final, cast

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.origin.deadline import NEVER
from edgeproxy.origin.http2 import STREAMS, Carrier
from edgeproxy.origin.http2_stream import Stream
from edgeproxy.origin.idle import Connect
from edgeproxy.origin.way import Owner, Way

ROUNDS: Final = 3  # connections that one request waits for, if others take their streams before it


class _Opening:
    """A connection on its way, and for how many more requests it will do. ``spare``: the stream it was asked for with,
    which goes to the first of those who are ``waiting``, or ends if none is left."""

    __slots__ = ("places", "spare", "task", "waiting")

    def __init__(self, places: int) -> None:
        self.task: asyncio.Task[Carrier] | None = None
        self.places = places
        self.spare: Stream | None = None
        self.waiting = 0

    def stream(self, carrier: Carrier, owner: Owner) -> Stream | None:
        """One of its streams, if there is one left."""
        spare, self.spare = self.spare, None
        return spare or (carrier.stream(owner) if carrier.room > 0 else None)

    def let_go(self) -> None:
        """One has given up waiting, or all have."""
        if not self.waiting and self.spare is not None:
            self.spare.abort()
            self.spare = None


class Shared:
    """At most ``most`` of the connections are kept while they are idle, each for ``seconds``."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._carriers: list[Carrier] = []
        self._opening: _Opening | None = None
        self._places = STREAMS  # that a new connection will have, as far as is known
        self._retired = False

    def take(self, owner: Owner) -> Way | None:
        """A stream of the first that has room: the others may grow old and be closed."""
        for carrier in self._carriers:
            if carrier.room > 0:
                return carrier.stream(owner)
        return None

    async def open(self, connect: Connect, owner: Owner, until: float) -> Way:
        """A stream of a new connection, before ``until``. Raises EdgeError. Whoever gives up waiting does not end the
        connection's opening: others wait for it."""
        for _ in range(ROUNDS):
            opening = self._opening
            if opening is None or not opening.places:
                opening = self._opening = _Opening(self._places)
                opening.task = asyncio.get_running_loop().create_task(self._connect(connect, owner, opening))
            opening.places -= 1
            stream = opening.stream(await _wait(opening, until), owner)
            if stream is not None:
                return stream
        raise EdgeError(Kind.CONNECTION_LOST, "origin", "it takes no streams")

    def keep(self, way: Way) -> None:
        """Keep the connection below a stream that was not needed."""
        stream = cast("Stream", way)
        self._adopt(stream.carrier)
        stream.abort()

    def lost(self, way: Way) -> None:
        """Connections tell it themselves."""

    def close(self) -> None:
        """Those that are idle close now, those in use with their last stream."""
        self._retired = True
        for carrier in list(self._carriers):
            if carrier.idle:
                carrier.close()

    def __len__(self) -> int:
        return sum(carrier.room > 0 for carrier in self._carriers)

    # What connections tell.

    def rested(self, carrier: Carrier) -> None:
        idle = sum(each.idle for each in self._carriers)
        if self._retired or idle > self._most:
            self.gone(carrier)
            carrier.close()
        else:
            carrier.rest(self._seconds)

    def gone(self, carrier: Carrier) -> None:
        if carrier in self._carriers:
            self._carriers.remove(carrier)

    # Inside.

    async def _connect(self, connect: Connect, owner: Owner, opening: _Opening) -> Carrier:
        try:
            stream = cast("Stream", await connect(owner, NEVER))
        finally:
            if self._opening is opening:
                self._opening = None
        self._adopt(stream.carrier)
        self._places = max(1, stream.carrier.most)
        opening.spare = stream
        opening.let_go()
        return stream.carrier

    def _adopt(self, carrier: Carrier) -> None:
        if carrier.keeper is None and not carrier.closing:
            carrier.keeper = self
            self._carriers.append(carrier)

    def __repr__(self) -> str:
        return f"<Shared {self._carriers!r}>"


async def _wait(opening: _Opening, until: float) -> Carrier:
    """The connection, before ``until``. Raises EdgeError."""
    opening.waiting += 1
    try:
        async with asyncio.timeout_at(until):
            carrier = await asyncio.shield(cast("asyncio.Task[Carrier]", opening.task))
    except BaseException as error:
        opening.waiting -= 1
        opening.let_go()
        if isinstance(error, EdgeError):
            raise EdgeError(error.kind, error.source, error.detail) from None  # each waiter's own
        if isinstance(error, TimeoutError):
            raise EdgeError(Kind.RESPONSE_TIMEOUT, "edge", "no time left for a connection") from None
        raise
    opening.waiting -= 1
    return carrier
