"""A body on its way from the origin into the cache, read by any number of clients while it arrives."""

from __future__ import annotations

import asyncio

from edgeproxy.errors import EdgeError
from edgeproxy.http.body import HIGH_WATER, Body
from edgeproxy.http.ranges import Range


class Fill:
    """One producer, many readers, each at its own pace; a reader that leaves disturbs nobody.

    While the body is to be kept, all of it is held. Once it proved too large (:meth:`give_up`), only what some reader
    has still to read is held, and :meth:`room` holds the producer back to the slowest of them.
    """

    __slots__ = ("_moved", "chunks", "done", "error", "first", "length", "readers", "size")

    def __init__(self, length: int | None) -> None:
        self.length = length
        self.size = 0
        self.done = False
        self.chunks: list[bytes] = []
        self.first = 0  # number of the first chunk still held
        self.error: EdgeError | None = None
        self.readers: set[FillReader] = set()
        self._moved: asyncio.Event | None = None

    def feed(self, data: bytes) -> None:
        self.chunks.append(data)
        self.size += len(data)
        self._wake()

    def finish(self) -> None:
        self.done = True
        self._wake()

    def fail(self, error: EdgeError) -> None:
        """The rest will not come: readers get what is here, then the error."""
        self.error = error
        self.done = True
        self._wake()

    def whole(self) -> bytes:
        """The body of a finished fill in one piece, in which those who still read go on."""
        for reader in self.readers:
            reader.skip += sum([len(chunk) for chunk in self.chunks[: reader.position]])
            reader.position = 0
        body = b"".join(self.chunks)
        self.chunks = [body]
        return body

    def give_up(self) -> None:
        """Stop keeping the body; go on for those who read it."""
        self._moved = asyncio.Event()
        self.forget_read()

    async def room(self) -> bool:
        """Wait until more may be fed; False if nobody would read it."""
        while self._moved is not None:
            if not self.readers:
                return False
            if sum(map(len, self.chunks)) <= HIGH_WATER:
                break
            self._moved.clear()
            await self._moved.wait()
        return True

    def reader(self) -> FillReader:
        """A reader from the first byte on; to be asked for before :meth:`give_up`."""
        reader = FillReader(self)
        self.readers.add(reader)
        return reader

    def _wake(self) -> None:
        for reader in self.readers:
            reader.wake()

    def forget_read(self) -> None:
        """Let go of what every reader has read, if the body is not kept."""
        if self._moved is None:
            return
        behind = min((reader.position for reader in self.readers), default=self.first + len(self.chunks))
        if behind > self.first:
            del self.chunks[: behind - self.first]
            self.first = behind
        self._moved.set()

    def __repr__(self) -> str:
        return f"<Fill {self.size} B of {self.length}, {len(self.readers)} readers{', done' if self.done else ''}>"


class FillReader(Body):
    """One client's way through a fill, at most HIGH_WATER bytes at a time: what a slow client has not taken yet is not
    held for it a second time."""

    __slots__ = ("_fill", "_waiter", "length", "position", "skip")

    def __init__(self, fill: Fill) -> None:
        self._fill = fill
        self._waiter: asyncio.Future[None] | None = None
        self.length = fill.length
        self.position = 0  # number of the next chunk
        self.skip = 0  # bytes of it that were read

    def take(self) -> bytes | None:
        fill = self._fill
        if not fill.done or fill.error is not None:
            return None
        rest = sum([len(chunk) for chunk in fill.chunks[self.position - fill.first :]]) - self.skip
        return self._advance() if rest <= HIGH_WATER else None

    async def read(self) -> bytes:
        fill = self._fill
        while self.position - fill.first >= len(fill.chunks):
            if fill.error is not None:
                raise fill.error
            if fill.done:
                return b""
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None
        return self._advance()

    def close(self) -> None:
        self._fill.readers.discard(self)
        self._fill.forget_read()

    def wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def _advance(self) -> bytes:
        fill, size = self._fill, 0
        found: list[bytes] = []
        for chunk in fill.chunks[self.position - fill.first :]:
            ahead = len(chunk) - self.skip
            if size + ahead > HIGH_WATER:
                if not found:
                    found.append(chunk[self.skip : self.skip + HIGH_WATER])
                    self.skip += HIGH_WATER
                break
            found.append(chunk[self.skip :])
            size += ahead
            self.position += 1
            self.skip = 0
        fill.forget_read()
        return b"".join(found)


class Slice(Body):
    """The bytes of a body from the first to the last position, both inclusive."""

    __slots__ = ("_body", "_left", "_skip", "length")

    def __init__(self, body: Body, part: Range) -> None:
        first, last = part
        self._body = body
        self._skip = first
        self._left = last - first + 1
        self.length = self._left

    def take(self) -> bytes | None:
        rest = self._body.take()
        return None if rest is None else self._cut(rest)

    async def read(self) -> bytes:
        while self._left:
            chunk = await self._body.read()
            data = self._cut(chunk)
            if data or not chunk:
                return data
        return b""

    def close(self) -> None:
        self._body.close()

    def _cut(self, chunk: bytes) -> bytes:
        data = chunk[self._skip : self._skip + self._left]
        self._skip = max(0, self._skip - len(chunk))
        self._left -= len(data)
        return data
