"""Compressed request bodies unpacked as they come: a piece at a time, within limits, whatever they claim to be.

What a decoder makes of one piece of input is bounded, so a body that unpacks to more than it may is found out within a
piece of the limit (a "bomb"), and nothing that was made is held but the piece that the origin takes next.
"""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import Callable, Sequence
from typing import Final, NamedTuple, Protocol

import brotli
import zstandard

from edgeproxy.compression.zstd_blocks import ZstdBlocks
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body

FED: Final = 8 * 1024  # bytes that a decoder is given at once
PIECE: Final = 64 * 1024  # bytes that it makes of them at once; Zstandard twice as many
STEPS_AT_ONCE: Final = 8  # for a body that is all here, before the origin is asked
MEMBERS: Final = 1024  # of a gzip body: each costs time

# What holds for the packed bytes only.
DIGESTS: Final = (b"content-digest", b"repr-digest", b"digest", b"content-md5")

_GZIP: Final = 16 + zlib.MAX_WBITS
_BROKEN: Final = (zlib.error, brotli.error, zstandard.ZstdError)


class Bounds(NamedTuple):
    """What a body may unpack to: ``size`` in bytes, of which those above ``free`` may be ``ratio`` times the body's
    own; ``window`` in bytes, of Zstandard."""

    size: int
    ratio: int
    free: int
    window: int


class Decoder(Protocol):
    """One coding, undone piece by piece."""

    @property
    def whole(self) -> bool:
        """Whether the input may end here."""

    def step(self, data: bytes) -> bytes:
        """Take ``data``; the next piece made of it and what was left before, b"" if more is needed for one.

        Raises EdgeError, or the library's error, if it cannot be read.
        """


class Inflate:
    """gzip (RFC 1952), whose members may follow each other, and deflate (RFC 1950), which is one."""

    def __init__(self, container: int, members: int) -> None:
        self._container = container
        self._left = members
        self._input = b""
        self._decompressor = zlib.decompressobj(container)

    @property
    def whole(self) -> bool:
        return self._decompressor.eof and not self._input

    def step(self, data: bytes) -> bytes:
        data = self._input + data
        while True:
            if self._decompressor.eof:
                if not data:
                    return b""
                self._next_member()
            decompressor = self._decompressor
            piece = decompressor.decompress(data, PIECE)
            data = decompressor.unused_data if decompressor.eof else decompressor.unconsumed_tail
            if piece or not data:
                self._input = data
                return piece

    def _next_member(self) -> None:
        self._left -= 1
        if not self._left:
            raise EdgeError(Kind.BAD_REQUEST, "client", "Its content is in too many parts.")
        self._decompressor = zlib.decompressobj(self._container)


class Unbrotli:
    """Brotli (RFC 7932)."""

    def __init__(self) -> None:
        self._decompressor = brotli.Decompressor()

    @property
    def whole(self) -> bool:
        return bool(self._decompressor.is_finished())

    def step(self, data: bytes) -> bytes:
        return bytes(self._decompressor.process(data, output_buffer_limit=PIECE))


DECODERS: Final[dict[bytes, Callable[[Bounds], Decoder]]] = {
    b"gzip": lambda _: Inflate(_GZIP, MEMBERS),
    b"deflate": lambda _: Inflate(zlib.MAX_WBITS, 1),
    b"br": lambda _: Unbrotli(),
    b"zstd": lambda bounds: ZstdBlocks(bounds.window),
}


class Unpacker:
    """Undoes ``codings``, in the order they were applied, within ``bounds``. What stands between two counts as well."""

    def __init__(self, codings: Sequence[bytes], bounds: Bounds) -> None:
        self._names = tuple(reversed(codings))
        self._decoders = [DECODERS[name](bounds) for name in self._names]
        self._made = [0] * len(self._decoders)
        self._ahead = [b""] * len(self._decoders)
        self._bounds = bounds
        self._taken = 0

    def feed(self, data: bytes) -> None:
        """Take the next bytes of the body, at most FED; to be called when :meth:`step` gave b""."""
        self._ahead[0] = data
        self._taken += len(data)

    def step(self) -> bytes | None:
        """A bounded amount of work: the next piece of the body unpacked, None for none yet, b"" if the decoders need
        more input.

        Raises EdgeError: BODY_TOO_LARGE beyond the bounds, BAD_REQUEST for what cannot be read.
        """
        last = len(self._decoders) - 1
        for place in range(last, -1, -1):
            data = self._ahead[place]
            self._ahead[place] = b""
            try:
                piece = self._decoders[place].step(data)
            except _BROKEN:
                raise _unreadable(self._names[place]) from None
            if piece:
                self._count(place, len(piece))
                if place == last:
                    return piece
                self._ahead[place + 1] = piece
                return None
        return b""

    def end(self) -> None:
        """There is no more of the body. Raises EdgeError if it breaks off."""
        for name, decoder in zip(self._names, self._decoders, strict=True):
            if not decoder.whole:
                raise _unreadable(name)

    def _count(self, place: int, size: int) -> None:
        bounds = self._bounds
        self._made[place] = made = self._made[place] + size
        if made > bounds.size:
            raise EdgeError(Kind.BODY_TOO_LARGE, "client", "It unpacks to more than is taken.")
        if made > bounds.free and made > bounds.ratio * self._taken:
            raise EdgeError(Kind.BODY_TOO_LARGE, "client", "It unpacks to too many times its size.")


class Unpacked(Body):
    """A body with its codings undone as it is read. ``refused`` is told when it turns out not to be acceptable.

    Closed, it lets go of its decoders at once, and who reads on nevertheless is told that it broke off.
    """

    __slots__ = ("_ahead", "_over", "_refused", "_rest", "_source", "_unpacker", "length", "trailers")

    def __init__(self, source: Body, unpacker: Unpacker, refused: Callable[[], None]) -> None:
        self.length = None
        self.trailers = None
        self._source = source
        self._unpacker: Unpacker | None = unpacker
        self._refused = refused
        self._rest = b""  # of the body, not yet fed
        self._ahead = b""  # unpacked, not yet read
        self._over = False  # there is no more of the body

    @property
    def arriving(self) -> Body:
        return self._source.arriving

    def take(self) -> bytes | None:
        """The body unpacked, if all of it is here and it is small. Raises EdgeError if it is not acceptable."""
        rest = self._source.take()
        if rest is None:
            return None
        self._rest += rest
        self._over = True
        pieces: list[bytes] = []
        for _ in range(STEPS_AT_ONCE):
            piece = self._step()
            if piece:
                pieces.append(piece)
            elif piece is not None:
                return b"".join(pieces)
        self._ahead = b"".join(pieces)
        return None

    async def read(self) -> bytes:
        ahead, self._ahead = self._ahead, b""
        if ahead:
            return ahead
        while True:
            await asyncio.sleep(0)  # others have their turn between two pieces
            piece = self._step()
            if piece:
                return piece
            if piece is not None:
                if self._over:
                    return b""
                self._rest = await self._source.read()
                self._over = not self._rest

    def close(self) -> None:
        self._unpacker = None
        self._ahead = b""
        self._source.close()

    def _step(self) -> bytes | None:
        """As :meth:`Unpacker.step`, which it feeds; b"" also at the body's end."""
        unpacker = self._unpacker
        if unpacker is None:
            raise EdgeError(Kind.CLIENT_GONE, "client")
        try:
            piece = unpacker.step()
            if piece == b"":
                if self._rest:
                    unpacker.feed(self._rest[:FED])
                    self._rest = self._rest[FED:]
                    return None
                if self._over:
                    unpacker.end()
                    trailers = self._source.trailers or {}
                    self.trailers = {name: value for name, value in trailers.items() if name not in DIGESTS}
        except EdgeError:
            self._refused()
            raise
        return piece


def _unreadable(coding: bytes) -> EdgeError:
    return EdgeError(Kind.BAD_REQUEST, "client", f"Its content is not whole {coding.decode()}.")
