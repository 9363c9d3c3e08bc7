"""Zstandard (RFC 8878) unpacked block by block, so that no call makes more than a small piece.

The library's decompressor takes all it is given at once, and 4 bytes can stand for 128 KiB. Here it gets no more
blocks at a time than can make that much.
"""

from __future__ import annotations

from typing import Final

import zstandard

from edgeproxy.errors import EdgeError, Kind

BLOCK: Final = 128 * 1024  # bytes, the most that a block holds or makes (RFC 8878 §3.1.1.2.4)
SMALL: Final = 1024  # blocks that may hold less than 16 bytes on average, and frames

_MAGIC: Final = b"\x28\xb5\x2f\xfd"
_SKIPPABLE: Final = 0x184D2A50  # and the 15 above it (RFC 8878 §3.1.2)
_DICTIONARY_SIZES: Final = (0, 1, 2, 4)
_CONTENT_SIZES: Final = (0, 2, 4, 8)
_RLE: Final = 1
_RESERVED: Final = 3


class ZstdBlocks:
    """Frames of Zstandard, one after the other. ``window``: the largest that is taken, in bytes."""

    def __init__(self, window: int) -> None:
        self._decompressor = zstandard.ZstdDecompressor(max_window_size=window)
        self._window = window
        self._input = bytearray()
        self._taken = 0  # bytes of input
        self._parts = 0  # frames and blocks
        self._frame: zstandard.ZstdDecompressionObj | None = None  # None between frames
        self._last = False  # the frame's last block has been read
        self._skip = 0  # bytes of a skippable frame that are still to come

    @property
    def whole(self) -> bool:
        """Whether the input may end here."""
        return self._parts > 0 and self._frame is None and not self._input and not self._skip

    def step(self, data: bytes) -> bytes:
        """Take ``data``; the next piece made of it and what was left before, b"" if more is needed for one.

        Raises EdgeError, or the library's error, if it is not Zstandard.
        """
        self._input += data
        self._taken += len(data)
        while True:
            if self._frame is None:
                if not self._begin():
                    return b""
            else:
                size = self._blocks()
                if not size:
                    return b""
                piece = self._frame.decompress(self._cut(size))
                if self._frame.eof:
                    self._frame = None
                if piece:
                    return piece

    def _begin(self) -> bool:
        """Get past a frame's head; False if it is not all here."""
        data = self._input
        if self._skip:
            skipped = len(self._cut(min(self._skip, len(data))))
            self._skip -= skipped
            return not self._skip
        if len(data) < 5:
            return False
        if data[:4] != _MAGIC:
            return self._begin_skippable()
        told = data[4]
        single = told >> 5 & 1
        size = 5 + (not single) + _DICTIONARY_SIZES[told & 3] + (_CONTENT_SIZES[told >> 6] or single)
        if len(data) < size:
            return False
        head = self._cut(size)
        if zstandard.get_frame_parameters(head).window_size > self._window:
            raise EdgeError(Kind.BODY_TOO_LARGE, "client", "It takes too large a window to unpack.")
        self._count()
        self._last = False
        self._frame = self._decompressor.decompressobj()
        self._frame.decompress(head)
        return True

    def _begin_skippable(self) -> bool:
        if int.from_bytes(self._input[:4], "little") & ~0xF != _SKIPPABLE:
            raise EdgeError(Kind.BAD_REQUEST, "client", "Its content is not zstd.")
        if len(self._input) < 8:
            return False
        self._count()
        self._skip = int.from_bytes(self._cut(8)[4:], "little")
        return True

    def _blocks(self) -> int:
        """Bytes of the next blocks that are whole here and make no more than one block may; 0 if there is none."""
        data, at, makes = self._input, 0, 0
        if self._last:  # only its checksum is left
            return 4 if len(data) >= 4 else 0
        while at + 3 <= len(data):
            head = int.from_bytes(data[at : at + 3], "little")
            kind, size = head >> 1 & 3, head >> 3
            if size > BLOCK or kind == _RESERVED:
                raise EdgeError(Kind.BAD_REQUEST, "client", "Its content is not zstd.")
            end = at + 3 + (1 if kind == _RLE else size)
            makes += size if kind < 2 else BLOCK
            if end > len(data) or (at and makes > BLOCK):
                break
            self._count()
            at = end
            if head & 1:
                self._last = True
                break
        return at

    def _count(self) -> None:
        """Blocks cost time each: a body cannot be made of tiny ones."""
        self._parts += 1
        if self._parts > SMALL + self._taken // 16:
            raise EdgeError(Kind.BAD_REQUEST, "client", "Its content is in too many parts.")

    def _cut(self, size: int) -> bytes:
        piece = bytes(self._input[:size])
        del self._input[:size]
        return piece
