"""The coding ``dcz``: Zstandard with an earlier answer as its dictionary (RFC 9842 §5).

``dcb``, the same with Brotli, is not made: Brotli's Python bindings take no dictionary.
"""

from __future__ import annotations

from typing import Final

import zstandard

DCZ: Final = b"dcz"

_MAGIC: Final = bytes.fromhex("5e2a4d1820000000")  # a skippable frame of 32 bytes, the dictionary's SHA-256
# A client has room for 8 MiB or 1.25 times the dictionary, whichever is more. The dictionary is within reach for as
# much of the body as the window has, so nothing longer is worth it.
LONGEST: Final = 8 << 20
_WINDOW_LOGS: Final = (17, 23)


def pack(data: bytes, dictionary: bytes, digest: bytes, level: int) -> bytes:
    """A whole body; ``digest`` is the dictionary's SHA-256, ``level`` one of Zstandard's, 1 to 19."""
    return _MAGIC + digest + _compressor(dictionary, level, len(data)).compress(data)


class Stream:
    """One body compressed as it comes, each chunk flushed. ``length`` is the body's in bytes, None if unknown."""

    __slots__ = ("__weakref__", "_before", "_compressor")

    def __init__(self, dictionary: bytes, digest: bytes, level: int, length: int | None) -> None:
        self._before = _MAGIC + digest
        self._compressor = _compressor(dictionary, level, length).compressobj()

    def feed(self, chunk: bytes) -> bytes:
        """A body filter: the compressed chunk, and for b"" the end."""
        before, self._before = self._before, b""
        if not chunk:
            return before + self._compressor.flush()
        packed = self._compressor.compress(chunk)
        return before + packed + self._compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)


def _compressor(dictionary: bytes, level: int, length: int | None) -> zstandard.ZstdCompressor:
    likely = len(dictionary) * 5 // 4 if length is None else length
    lowest, highest = _WINDOW_LOGS
    parameters = zstandard.ZstdCompressionParameters.from_level(
        level,
        source_size=likely,
        dict_size=len(dictionary),
        window_log=max(lowest, min(highest, likely.bit_length())),
        write_content_size=length is not None,
    )
    raw = zstandard.ZstdCompressionDict(dictionary, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    return zstandard.ZstdCompressor(dict_data=raw, compression_params=parameters)
