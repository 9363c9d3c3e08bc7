"""The content codings this server makes: Brotli (RFC 7932), Zstandard (RFC 8878) and gzip (RFC 1952).

Each releases the GIL while it works. Measured on HTML at the default levels, br-5 makes bodies 6 % smaller than gzip-6
and zstd-3 6 % larger, at 0.7 and 0.1 of its CPU time.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable

import brotli
import zstandard

BR, ZSTD, GZIP = b"br", b"zstd", b"gzip"

# Streams have small windows: what counts there is memory, of which each holds at most 0.8 MiB at the default levels.
_STREAM_WINDOW_BR = 16
_STREAM_WINDOW_ZSTD = 17
_GZIP_CONTAINER = 16 + zlib.MAX_WBITS


def compress(data: bytes, coding: bytes, level: int) -> bytes:
    """``data`` in ``coding`` (br, zstd or gzip), at a level of the coding's own scale."""
    return _WHOLE[coding](data, level)


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
    return bytes(brotli.compress(data, quality=level))


def _zstd(data: bytes, level: int) -> bytes:
    return zstandard.ZstdCompressor(level=level).compress(data)


def _gzip(data: bytes, level: int) -> bytes:
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
    compressor = zlib.compressobj(level, zlib.DEFLATED, _GZIP_CONTAINER)
    return lambda chunk: compressor.compress(chunk) + compressor.flush(zlib.Z_SYNC_FLUSH), compressor.flush


_WHOLE: dict[bytes, Callable[[bytes, int], bytes]] = {BR: _brotli, ZSTD: _zstd, GZIP: _gzip}
_STREAMED: dict[bytes, Callable[[int], _Hooks]] = {BR: _brotli_stream, ZSTD: _zstd_stream, GZIP: _gzip_stream}
