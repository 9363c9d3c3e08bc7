"""What carries one request to an origin: a whole connection (HTTP/1.1), or one stream of many (HTTP/2)."""

from __future__ import annotations

import asyncio
from typing import Protocol

from edgeproxy.config.pools import TimeoutsConfig
from edgeproxy.errors import EdgeError
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Response
from edgeproxy.origin.deadline import Deadline
from edgeproxy.origin.wire import Call


class Owner(Protocol):
    """Whom a way belongs to."""

    timeouts: TimeoutsConfig

    def ended(self, way: Way, error: EdgeError | None, status: int) -> None:
        """An exchange is over: answered (``status``), failed (``error``), or given up (neither: 0)."""

    def lost(self, way: Way) -> None:
        """It is closed and was idle."""


class Waiter(Protocol):
    """Who is given the answer to a request: a future, or somebody who is not to be waited for."""

    def done(self) -> bool:
        """Nothing is wanted any more."""

    def set_result(self, result: Response, /) -> None:
        """The answer's head is here."""

    def set_exception(self, exception: EdgeError, /) -> None:
        """There will be none."""


class Way(Protocol):
    """``reused`` tells that an earlier exchange went over its connection, ``answered`` that some of this answer has
    come, ``refused`` that the origin said it has not looked at the request, ``reusable`` that another exchange may
    follow on it. ``until`` is when the exchange must have ended; ``writable`` is set while the origin takes more.
    """

    answered: bool
    deadline: Deadline
    refused: bool
    reusable: bool
    reused: bool
    until: float
    writable: asyncio.Event

    @property
    def transport(self) -> asyncio.BaseTransport:
        """The connection's."""

    @property
    def closing(self) -> bool:
        """Nothing can be sent any more."""

    def send(self, call: Call, head: bytes, first_byte: float | None = None) -> asyncio.Future[Response]:
        """Send a request; the future is its answer, or fails with EdgeError. ``first_byte``: the seconds its head may
        take, if not as many as ever."""

    def begin(self, call: Call, head: bytes, waiter: Waiter, first_byte: float | None = None) -> None:
        """The same for one who waits already."""

    def give_up(self, answer: asyncio.Future[Response]) -> None:
        """Nobody waits for ``answer`` any more."""

    def rest(self, seconds: float) -> None:
        """Nobody needs it: stay open, idle, for that long."""

    def fail(self, error: EdgeError) -> None:
        """End the exchange with ``error``."""

    def abort(self) -> None:
        """End at once. An exchange under way has been given up."""

    def close(self) -> None:
        """End once what was written is sent."""

    # What uploads and tunnels do.

    def put(self, data: bytes) -> None:
        """Send the next piece of what has no end yet, bounded by :meth:`drain`."""

    def put_last(self, trailers: Headers | None) -> None:
        """That was all."""

    def sent(self) -> None:
        """The request is on its way in full: the answer's time runs."""

    async def drain(self) -> None:
        """Wait until the origin has taken enough to go on; it has ``between_bytes`` to do so."""

    def hold(self) -> None:
        """Take no more from the origin."""

    def unhold(self) -> None:
        """Take more again."""
