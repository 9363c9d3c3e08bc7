"""What every client's connection is to its server, whatever it speaks: admitted, swept, evicted, retired."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Final, cast

from edgeproxy.listener.flow import WRITE_HIGH_WATER, Flow
from edgeproxy.pipeline.exchange import Peer

if TYPE_CHECKING:
    from edgeproxy.listener.server import Endpoint, Server

_NOBODY: Final = Peer("", 0, "", "", None)


class Client(Flow):
    """One client connection. ``idle_since``: when the last exchange on it ended, or it began, in monotonic seconds."""

    def __init__(self, server: Server, endpoint: Endpoint, told: Peer | None) -> None:
        super().__init__(server.limits, server.clock.monotonic)
        self._server = server
        self._endpoint = endpoint
        self._told = told
        self._peer = told or _NOBODY
        self._wall = server.clock.wall
        self._idle_timeout = server.limits.idle_timeout
        self._passed = 0  # heads and bodies that were complete
        self.idle_since = 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = stream = cast("asyncio.Transport", transport)
        stream.set_write_buffer_limits(high=WRITE_HIGH_WATER)
        self._peer = self._endpoint.identify(transport, self._told)
        self.idle_since = self._clock()
        self.deadline = self.idle_since + self._idle_timeout
        if not self._server.admit(self, self._peer.address):
            self._deaf = self._closing = True
            stream.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._server.forget(self, self._peer.address)

    def succeed(self, predecessor: Client) -> None:
        """Take over the connection of another, whose first bytes showed that it is spoken on in another way."""
        self.transport = predecessor.transport
        self.transport.set_protocol(self)
        self._peer = predecessor._peer
        self.idle_since, self.deadline = predecessor.idle_since, predecessor.deadline
        self._server.replace(predecessor, self)

    # What the server's sweep asks.

    def expire(self, now: float) -> None:
        """The deadline has passed."""
        raise NotImplementedError

    @property
    def waits(self) -> bool:
        """Nothing is under way: the connection waits for a request to begin."""
        raise NotImplementedError

    @property
    def need(self) -> tuple[bool, float]:
        """How much an idle connection is needed, to be compared: one that has served before one that never has, one
        just used before one that was not for long."""
        return self._passed > 0, self.idle_since

    def evict(self) -> None:
        """Make room for others, at once."""
        self.abort()

    def retire(self, now: float, grace: float) -> None:
        """The server drains: an idle connection goes once it has been quiet for ``grace`` seconds, so that a request
        already on its way is still answered."""
        if self.waits and now - self.idle_since >= grace:
            self.close()
