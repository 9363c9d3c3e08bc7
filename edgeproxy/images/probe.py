"""What a file of a picture says of itself: its format, sides and frames, read from its head before anything is decoded.

Nothing here allocates by what a file claims, and no claim is believed further than for refusing: what the decoder then
finds may be smaller, never larger.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from edgeproxy.images.plan import Bounds, Format, ImageError


class Source(NamedTuple):
    """A picture as its file announces it, sides in pixels as stored, not turned by EXIF; ``frames`` is 1 or more."""

    format: Format
    width: int
    height: int
    frames: int = 1


_SEGMENTS: Final = 5_000  # of a JPEG before its first scan; 255 of a profile, 64 KiB each, are plausible
_BOXES: Final = 5_000  # of an AVIF, in all
_FRAMES: Final = 100_000  # no more are counted


def probe(source: bytes) -> Source:
    """The announced picture. Raises ImageError: ``format`` for what is none of those read, ``damaged``."""
    reader = next((reader for magic, at, reader in _MAGIC if source.startswith(magic, at)), None)
    if reader is None:
        raise ImageError("format")
    try:
        found = reader(source)
    except (struct.error, IndexError):
        raise ImageError("damaged") from None
    if found.width < 1 or found.height < 1:
        raise ImageError("damaged")
    return found


def check(found: Source, bounds: Bounds, *, anim: bool) -> None:
    """Refuse what is too large to be decoded. Raises ImageError: ``side``, ``frames``, ``pixels``."""
    frames = found.frames if anim else 1
    if max(found.width, found.height) > bounds.side:
        raise ImageError("side")
    if frames > bounds.frames:
        raise ImageError("frames")
    if found.width * found.height * frames > bounds.pixels:
        raise ImageError("pixels")


def _jpeg(source: bytes) -> Source:
    at = 2
    for _ in range(_SEGMENTS):
        while source[at] != 0xFF:  # what stands between segments is skipped, as decoders do
            at = source.index(b"\xff", at) if source.find(b"\xff", at) >= 0 else len(source)
        while source[at] == 0xFF:
            at += 1
        marker = source[at]
        at += 1
        if marker in _STANDALONE:
            continue
        if marker in _FRAME_HEADS:
            height, width = struct.unpack_from(">HH", source, at + 3)
            return Source("jpeg", width, height)
        if marker in {0xD9, 0xDA}:  # its end, or a scan before its frame's head
            break
        (length,) = struct.unpack_from(">H", source, at)
        at += max(2, length)
    raise ImageError("damaged")


# ITU-T T.81, table B.1: SOF0 to SOF15 without DHT, JPG and DAC; TEM, RST0 to RST7, SOI and stuffing have no length.
_FRAME_HEADS: Final = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}
_STANDALONE: Final = frozenset({0x00, 0x01, *range(0xD0, 0xD9)})


def _png(source: bytes) -> Source:
    if source[12:16] != b"IHDR":
        raise ImageError("damaged")
    width, height = struct.unpack_from(">II", source, 16)
    at, frames = 8, 1
    while at + 8 <= len(source):  # acTL stands before the first IDAT, or nothing is animated
        length, kind = struct.unpack_from(">I4s", source, at)
        if kind == b"acTL":
            (frames,) = struct.unpack_from(">I", source, at + 8)
        if kind in {b"IDAT", b"IEND"}:
            break
        at += 12 + length
    return Source("png", width, height, max(1, frames))


def _gif(source: bytes) -> Source:
    width, height, flags = struct.unpack_from("<HHB", source, 6)
    at = 13 + _colours(flags)
    frames = 0
    while at < len(source) and frames < _FRAMES:
        kind = source[at]
        if kind == 0x2C:
            left, top, across, down, flags = struct.unpack_from("<HHHHB", source, at + 1)
            # Decoders enlarge the screen for a frame that reaches beyond it.
            width, height = max(width, left + across), max(height, top + down)
            frames += 1
            at += 11 + _colours(flags)
        elif kind == 0x21:
            at += 2
        else:
            break
        while at < len(source) and source[at]:
            at += 1 + source[at]
        at += 1
    return Source("gif", width, height, max(1, frames))


def _colours(flags: int) -> int:
    return 3 << (flags & 7) + 1 if flags & 0x80 else 0


def _webp(source: bytes) -> Source:
    if source[8:12] != b"WEBP":
        raise ImageError("format")
    kind = source[12:16]
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", source, 26)
        return Source("webp", width & 0x3FFF, height & 0x3FFF)
    if kind == b"VP8L":
        (bits,) = struct.unpack_from("<I", source, 21)
        return Source("webp", (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1)
    if kind != b"VP8X":
        raise ImageError("damaged")
    low = struct.unpack_from("<HBHB", source, 24)
    at, frames = 12, 0
    while at + 8 <= len(source) and frames < _FRAMES:
        name, length = struct.unpack_from("<4sI", source, at)
        frames += name == b"ANMF"
        at += 8 + length + (length & 1)
    return Source("webp", (low[0] | low[1] << 16) + 1, (low[2] | low[3] << 16) + 1, max(1, frames))


def _avif(source: bytes) -> Source:
    if source[8:12] not in _BRANDS:
        raise ImageError("format")
    width = height = frames = 0
    for name, at in _boxes(source):
        across = down = 0
        if name == b"ispe":  # ISO/IEC 23008-12 §6.5.3: of every item, the tiles of a grid too
            across, down = struct.unpack_from(">4xII", source, at)
        elif name == b"av01":  # a visual sample entry: ISO/IEC 14496-12 §12.1.3
            across, down = struct.unpack_from(">24xHH", source, at)
        elif name == b"stsz":  # of the samples' sizes, §8.7.3
            frames = max(frames, struct.unpack_from(">8xI", source, at)[0])
        width, height = max(width, across), max(height, down)
    return Source("avif", width, height, max(1, frames))


_BRANDS: Final = frozenset({b"avif", b"avis", b"mif1", b"msf1"})
# Boxes with boxes in them that lead to the sizes, and how far into them those begin.
_WITHIN: Final = {
    b"meta": 4,
    b"iprp": 0,
    b"ipco": 0,
    b"moov": 0,
    b"trak": 0,
    b"mdia": 0,
    b"minf": 0,
    b"stbl": 0,
    b"stsd": 8,
}


def _boxes(source: bytes) -> Iterator[tuple[bytes, int]]:
    """Name and start of the content of each box, those inside others right behind them; a bounded number."""
    open_: list[tuple[int, int]] = [(0, len(source))]
    for _ in range(_BOXES):
        while open_ and open_[-1][0] + 8 > open_[-1][1]:
            open_.pop()
        if not open_:
            return
        at, end = open_.pop()
        length, name = struct.unpack_from(">I4s", source, at)
        start = at + 8
        if length == 1:
            (length,) = struct.unpack_from(">Q", source, start)
            start += 8
        close = end if length == 0 else min(end, max(start, at + length))
        open_.append((close, end))
        yield name, start
        if name in _WITHIN:
            open_.append((start + _WITHIN[name], close))
    raise ImageError("damaged")


_MAGIC: Final[tuple[tuple[bytes, int, Callable[[bytes], Source]], ...]] = (
    (b"\xff\xd8\xff", 0, _jpeg),
    (b"\x89PNG\r\n\x1a\n", 0, _png),
    (b"RIFF", 0, _webp),
    (b"ftyp", 4, _avif),
    (b"GIF87a", 0, _gif),
    (b"GIF89a", 0, _gif),
)
