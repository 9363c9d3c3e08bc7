"""The content codings this server makes: Brotli (RFC 7932), Zstandard (RFC 8878) and gzip (RFC 1952).

Each releases the GIL while it works. Levels are on the coding's own scale: 0 to 11 for Brotli, 1 to 19 for Zstandard,
1 to 9 for gzip, of which 1 to 3 are made by ISA-L and the rest by zlib. Measured on HTML, zstd-3 makes bodies 12 %
larger than br-5 in 0.15 of its CPU time, and gzip-3 makes them 11 % larger than gzip-6 in 0.13 of its.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable
from typing import Final

import brotli
import zstandard
from isal import isal_zlib

BR, ZSTD, GZIP = b"br", b"zstd", b"gzip"

# Streams have small windows: what counts there is memory, of which each holds at most 0.8 MiB at the default levels.
_STREAM_WINDOW_BR: Final = 16
_STREAM_WINDOW_ZSTD: Final = 17
_LARGEST_WINDOW: Final = 8 * 1024 * 1024  # RFC 9659 §3: beyond it a reader may refuse Zstandard
_GZIP_CONTAINER: Final = 16 + zlib.MAX_WBITS
_ISAL_LEVELS: Final = 3  # it has no higher ones
_SHORT: Final = 128 * 1024

# How many bytes of text a level, and those below it, take about a millisecond for.
_IN_A_MILLISECOND: Final[dict[bytes, tuple[tuple[int, int], ...]]] = {
    BR: ((2, 256 * 1024), (8, 64 * 1024), (9, 16 * 1024), (11, 1024)),
    ZSTD: ((3, 256 * 1024), (9, 64 * 1024), (19, 4 * 1024)),
    GZIP: ((3, 256 * 1024), (9, 32 * 1024)),
}
QUICKEST: Final[dict[bytes, int]] = {BR: 1, ZSTD: 1, GZIP: 1}  # levels that still shrink text well


class CodingError(ValueError):
    """Bytes that are not what their coding says, not all of it, or more than they may be."""


def compress(data: bytes, coding: bytes, level: int) -> bytes:
    """``data`` in ``coding`` (br, zstd or gzip), at a level of the coding's own scale."""
    return _WHOLE[coding](data, level)


def decompress(data: bytes, coding: bytes, longest: int) -> bytes:
    """What ``data`` in ``coding`` (br, zstd or gzip) was. Raises CodingError, also for more than ``longest`` bytes."""
    try:
        plain = _PLAIN[coding](data, longest)
    except (zlib.error, brotli.error, zstandard.ZstdError) as error:
        raise CodingError(str(error)) from None
    if plain is None or len(plain) > longest:
        raise CodingError(f"longer than {longest} bytes, or cut short")
    return plain


def in_a_millisecond(coding: bytes, level: int) -> int:
    """How many bytes of text are compressed in about a millisecond."""
    return next(size for highest, size in _IN_A_MILLISECOND[coding] if level <= highest)


class Stream:
    """One body compressed as it comes. Each chunk is flushed, so that what the origin has sent reaches the client."""

    __slots__ = ("__weakref__", "_end", "_feed")

    def __init__(self, coding: bytes, level: int) -> None:
        self._feed, self._end = _STREAMED[coding](level)

    def feed(self, chunk: bytes) -> bytes:
        """A body filter: the compressed chunk, and for b"" the end."""
        return self._feed(chunk) if chunk else self._end()


_Hooks = tuple[Callable[[bytes], bytes], Callable[[], bytes]]


def _brotli(data: bytes, level: int) -> bytes:
    return bytes(brotli.compress(data, quality=level, lgwin=_brotli_window(level, len(data))))


def _brotli_window(level: int, size: int) -> int:
    """The window's binary logarithm. Level 9 clears a table of many megabytes for windows above 16, which takes a short
    body ten times as long and makes it no smaller; 22 is the encoder's own choice."""
    return 16 if level == 9 and size <= _SHORT else 22


def _zstd(data: bytes, level: int) -> bytes:
    return zstandard.ZstdCompressor(level=level).compress(data)


def _gzip(data: bytes, level: int) -> bytes:
    if level <= _ISAL_LEVELS:
        return isal_zlib.compress(data, level, _GZIP_CONTAINER)
    return zlib.compress(data, level, _GZIP_CONTAINER)


def _brotli_stream(level: int) -> _Hooks:
    compressor = brotli.Compressor(quality=level, lgwin=_STREAM_WINDOW_BR)
    return lambda chunk: compressor.process(chunk) + compressor.flush(), compressor.finish


def _zstd_stream(level: int) -> _Hooks:
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level, window_log=_STREAM_WINDOW_ZSTD, hash_log=_STREAM_WINDOW_ZSTD - 1, chain_log=_STREAM_WINDOW_ZSTD - 2
    )
    compressor = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    flush = zstandard.COMPRESSOBJ_FLUSH_BLOCK
    return lambda chunk: compressor.compress(chunk) + compressor.flush(flush), compressor.flush


def _gzip_stream(level: int) -> _Hooks:
    library = isal_zlib if level <= _ISAL_LEVELS else zlib
    compressor = library.compressobj(level, zlib.DEFLATED, _GZIP_CONTAINER)
    return lambda chunk: compressor.compress(chunk) + compressor.flush(zlib.Z_SYNC_FLUSH), compressor.flush


def _brotli_plain(data: bytes, longest: int) -> bytes | None:
    decompressor = brotli.Decompressor()
    plain = bytes(decompressor.process(data, output_buffer_limit=longest + 1))
    return plain if decompressor.is_finished() else None


def _zstd_plain(data: bytes, longest: int) -> bytes | None:
    if zstandard.frame_content_size(data) > longest:  # -1 where the frame does not say
        return None
    return zstandard.ZstdDecompressor(max_window_size=_LARGEST_WINDOW).decompress(data, max_output_size=longest)


def _gzip_plain(data: bytes, longest: int) -> bytes | None:
    decompressor = zlib.decompressobj(_GZIP_CONTAINER)
    plain = decompressor.decompress(data, longest + 1)
    return plain if decompressor.eof else None


_WHOLE: Final[dict[bytes, Callable[[bytes, int], bytes]]] = {BR: _brotli, ZSTD: _zstd, GZIP: _gzip}
_STREAMED: Final[dict[bytes, Callable[[int], _Hooks]]] = {BR: _brotli_stream, ZSTD: _zstd_stream, GZIP: _gzip_stream}
_PLAIN: Final[dict[bytes, Callable[[bytes, int], bytes | None]]] = {
    BR: _brotli_plain,
    ZSTD: _zstd_plain,
    GZIP: _gzip_plain,
}
