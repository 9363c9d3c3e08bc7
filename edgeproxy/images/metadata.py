"""What is said about a picture and goes along with its variants: nothing, whose it is, or all of it."""

from __future__ import annotations

from typing import Any, Final, NamedTuple
from xml.parsers import expat

from PIL import Image

from edgeproxy.images.decode import ORIENTATION
from edgeproxy.images.plan import Metadata

ARTIST: Final = 0x013B
COPYRIGHT: Final = 0x8298
_EXIF_BYTES: Final = 65_000  # what fits into a JPEG's segment
_XMP_BYTES: Final = 65_000
_TEXT_BYTES: Final = 2_000  # of an artist's name or a notice of copyright

# IPTC-IIM 4.2, record 2: by-line and copyright notice.
_IPTC: Final = {80: ARTIST, 116: COPYRIGHT}
_XMP: Final = {
    "http://purl.org/dc/elements/1.1/ creator": ARTIST,
    "http://purl.org/dc/elements/1.1/ rights": COPYRIGHT,
}
_UNREADABLE: Final = (ArithmeticError, LookupError, OSError, SyntaxError, TypeError, ValueError)


class Kept(NamedTuple):
    """Blocks as encoders take them; b"" for none."""

    exif: bytes = b""
    xmp: bytes = b""


def kept(picture: Image.Image, how: Metadata) -> Kept:
    """What stays of the opened picture's metadata. What cannot be read, or is too long, does not."""
    if how == "none":
        return Kept()
    xmp = picture.info.get("xmp", b"")
    xmp = xmp.encode() if isinstance(xmp, str) else xmp
    if not isinstance(xmp, bytes) or len(xmp) > _XMP_BYTES:
        xmp = b""
    if how == "keep":
        return Kept(_whole(picture), xmp)
    whose = _from_xmp(xmp) | _from_iptc(picture.info.get("photoshop")) | _from_exif(picture)
    if not whose:
        return Kept()
    exif = Image.Exif()
    for tag in sorted(whose):
        exif[tag] = whose[tag]
    return Kept(exif.tobytes())


def _whole(picture: Image.Image) -> bytes:
    """All of EXIF but how the picture was held, which its pixels now are, and the small copy of it that some hold."""
    try:
        exif = picture.getexif()
        exif.pop(ORIENTATION, None)
        block = exif.tobytes() if len(exif) else b""
    except _UNREADABLE:
        return b""
    return block if len(block) <= _EXIF_BYTES else b""


def _from_exif(picture: Image.Image) -> dict[int, bytes]:
    found = {}
    try:
        exif = picture.getexif()
        for tag in (ARTIST, COPYRIGHT):
            value = exif.get(tag)
            if isinstance(value, str) and value.strip("\0 "):
                found[tag] = value.encode("latin-1", "replace")[:_TEXT_BYTES]  # the very bytes it was read from
    except _UNREADABLE:
        return {}
    return found


def _from_iptc(resources: Any) -> dict[int, bytes]:
    """From the records among Photoshop's resources (0x0404): a tag marker, two numbers, a length, the value."""
    block = resources.get(0x0404) if isinstance(resources, dict) else None
    found: dict[int, bytes] = {}
    if not isinstance(block, bytes):
        return found
    at = 0
    while at + 5 <= len(block) and block[at] == 0x1C:
        length = int.from_bytes(block[at + 3 : at + 5], "big")
        if block[at + 1] == 2 and block[at + 2] in _IPTC and length:
            found.setdefault(_IPTC[block[at + 2]], block[at + 5 : at + 5 + min(length, _TEXT_BYTES)])
        at += 5 + length
    return found


class _EntityError(ValueError):
    """XMP has no use for entities of its own; bombs have."""


def _from_xmp(xmp: bytes) -> dict[int, bytes]:
    found: dict[int, str] = {}
    inside: list[int] = []  # the tag that is open, once for each element in it

    def start(name: str, _: dict[str, str]) -> None:
        if inside or name in _XMP:
            inside.append(inside[-1] if inside else _XMP[name])

    def end(_: str) -> None:
        if inside:
            inside.pop()

    def text(data: str) -> None:
        if inside and len(found.get(inside[-1], "")) < _TEXT_BYTES:
            found[inside[-1]] = found.get(inside[-1], "") + data

    def entity(*_: Any) -> None:
        raise _EntityError

    parser = expat.ParserCreate(namespace_separator=" ")
    parser.StartElementHandler, parser.EndElementHandler = start, end
    parser.CharacterDataHandler, parser.EntityDeclHandler = text, entity
    try:
        parser.Parse(xmp.strip(b"\0"), True)
    except (expat.ExpatError, _EntityError):
        return {}
    return {tag: " ".join(words.split()).encode()[:_TEXT_BYTES] for tag, words in found.items() if words.strip()}
