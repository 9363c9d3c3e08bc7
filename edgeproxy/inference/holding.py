"""Bodies held whole while somebody looks at them, within a bound of memory for all of them together."""

from __future__ import annotations

import asyncio

from edgeproxy.errors import EdgeError
from edgeproxy.http.body import Body
from edgeproxy.http.headers import Headers

# Why a body is not held: longer than it may be, no memory left for it, or it has not come in time.
TOO_LONG = "too_long"
BUSY = "busy"
LATE = "late"


class Held(Body):
    """A body whose beginning, or all of which, is here, and can be looked at before it goes on."""

    def __init__(self, source: Body) -> None:
        self.length = source.length
        self.whole = False
        self.size = 0
        self._source = source
        self._chunks: list[bytes] = []

    @property
    def trailers(self) -> Headers | None:  # type: ignore[override]  # as the source has them by then
        """Those of the body it is made of."""
        return self._source.trailers

    @property
    def arriving(self) -> Body:
        return self._source.arriving

    def content(self) -> bytes:
        """What is here."""
        self._chunks = [b"".join(self._chunks)]
        return self._chunks[0]

    def take(self) -> bytes | None:
        return self._begun() if self.whole else None

    async def read(self) -> bytes:
        return self._begun() or (b"" if self.whole else await self._source.read())

    def close(self) -> None:
        self._chunks.clear()
        self._source.close()

    async def more(self) -> int:
        """Take one more piece in: its length, 0 at the end. Raises EdgeError."""
        chunk = await self._source.read()
        self._chunks.append(chunk)
        self.size += len(chunk)
        self.whole = not chunk
        return len(chunk)

    def _begun(self) -> bytes:
        begun = self.content()
        self._chunks.clear()
        return begun


class Holding:
    """Holds bodies: ``most`` bytes of all of them together."""

    def __init__(self, most: int) -> None:
        self._left = most

    async def hold(self, body: Body, largest: int, seconds: float | None = None) -> tuple[Held, str]:
        """A body to go on with, and why it is not whole, "" if it is. What it holds is to be given back by
        :meth:`release`. ``seconds``: how long it is waited for, None for as long as it comes.

        Raises EdgeError if it broke off, unless ``seconds`` are given: then whoever reads on meets the error.
        """
        held = Held(body)
        if body.length is not None and body.length > largest:
            return held, TOO_LONG
        if self._left <= 0:
            return held, BUSY
        try:
            async with asyncio.timeout(seconds):
                return held, await self._fill(held, largest)
        except TimeoutError:
            return held, LATE
        except EdgeError:
            if seconds is not None:
                return held, LATE
            self.release(held)
            raise
        except BaseException:  # the client has left
            self.release(held)
            raise

    def release(self, held: Held) -> None:
        """Its memory may be used for others; to be called once."""
        self._left += held.size
        held.size = 0

    async def _fill(self, held: Held, largest: int) -> str:
        while length := await held.more():
            self._left -= length
            if held.size > largest:
                return TOO_LONG
            if self._left < 0:
                return BUSY
        return ""

    def __repr__(self) -> str:
        return f"<Holding {self._left} B left>"
