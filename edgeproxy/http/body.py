"""Bodies that stream: a bounded pipe between the connection that reads and the one that writes.

The reader pulls. A whole body that has already arrived is taken at once, without a wake-up (:meth:`Body.take`);
a full pipe pauses its producer, so memory stays at the high-water mark whatever the peers do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from edgeproxy.errors import EdgeError
from edgeproxy.http.headers import Headers

HIGH_WATER = 256 * 1024
LOW_WATER = 64 * 1024


class Body:
    """What a message's streamed body can do. ``length`` in bytes, None if it is not known in advance."""

    length: int | None = None
    trailers: Headers | None = None

    @property
    def arriving(self) -> Body:
        """The body as it comes from the wire, below all that a stage has put before it."""
        return self

    async def read(self) -> bytes:
        """The next chunk, b"" at the end. Raises EdgeError if the body broke off."""
        raise NotImplementedError

    def take(self) -> bytes | None:
        """The rest of the body if all of it is here already, else None. Raises EdgeError if what is here is no body."""
        return None

    def close(self) -> None:
        """Nobody will read on; the producer may stop. Closing twice, or at the end, is harmless."""


def _nothing() -> None:
    """No producer to hold back."""


class Pipe(Body):
    """One producer (:meth:`feed`, :meth:`finish`, :meth:`fail`), one reader.

    ``pause`` and ``resume`` hold the producer back; ``on_close`` tells it that the reader has left before the end.
    """

    __slots__ = (
        "_chunks",
        "_closed",
        "_done",
        "_error",
        "_on_close",
        "_pause",
        "_paused",
        "_resume",
        "_size",
        "_waiter",
        "length",
        "trailers",
    )

    def __init__(
        self,
        length: int | None = None,
        *,
        pause: Callable[[], None] = _nothing,
        resume: Callable[[], None] = _nothing,
        on_close: Callable[[], None] = _nothing,
    ) -> None:
        self.length = length
        self.trailers: Headers | None = None
        self._chunks: list[bytes] = []
        self._size = 0
        self._done = False
        self._closed = False
        self._error: EdgeError | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._paused = False
        self._pause = pause
        self._resume = resume
        self._on_close = on_close

    @property
    def done(self) -> bool:
        """The producer is through: all bytes are here, or the body broke off."""
        return self._done

    @property
    def closed(self) -> bool:
        """Nobody reads any more; what is still fed is thrown away."""
        return self._closed

    def feed(self, data: bytes) -> None:
        if self._closed:
            return
        self._chunks.append(data)
        self._size += len(data)
        if self._size > HIGH_WATER and not self._paused:
            self._paused = True
            self._pause()
        self._wake()

    def finish(self, trailers: Headers | None = None) -> None:
        self.trailers = trailers
        self._done = True
        self._wake()

    def fail(self, error: EdgeError) -> None:
        """End the body with an error; the reader still gets what came before it."""
        if not self._done:
            self._error = error
            self._done = True
            self._wake()

    def take(self) -> bytes | None:
        if not self._done or self._error is not None:
            return None
        return self._drain()

    async def read(self) -> bytes:
        while not self._chunks:
            if self._error is not None:
                raise self._error
            if self._done or self._closed:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._drain()

    def close(self) -> None:
        if self._closed:
            return
        self._closed = True
        self._chunks.clear()
        self._size = 0
        if not self._done:
            self._on_close()
        self._release()
        self._wake()

    def _drain(self) -> bytes:
        chunks = self._chunks
        data = chunks[0] if len(chunks) == 1 else b"".join(chunks)
        self._chunks = []
        self._size = 0
        self._release()
        return data

    def _release(self) -> None:
        if self._paused:
            self._paused = False
            self._resume()

    def _wake(self) -> None:
        waiter = self._waiter
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def __repr__(self) -> str:
        state = "closed" if self._closed else "failed" if self._error else "done" if self._done else "open"
        return f"<Pipe {state} {self._size} B waiting>"


class Continued(Body):
    """A body of which the beginning is here already."""

    __slots__ = ("_beginning", "_rest", "length")

    def __init__(self, beginning: bytes, rest: Body) -> None:
        self._beginning = beginning
        self._rest = rest
        self.length = None if rest.length is None else len(beginning) + rest.length

    async def read(self) -> bytes:
        beginning, self._beginning = self._beginning, b""
        return beginning or await self._rest.read()

    def close(self) -> None:
        self._rest.close()


class Tunnel(Body):
    """The body of a 101 answer: the origin's end of a connection that now carries another protocol, both ways."""

    def write(self, data: bytes) -> None:
        """Send to the origin. Bounded by :meth:`drain`."""
        raise NotImplementedError

    async def drain(self) -> None:
        """Wait until the origin has taken enough to go on. Raises EdgeError if it left."""
        raise NotImplementedError
