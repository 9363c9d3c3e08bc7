"""Protobuf's encoding, walked over: fields with their places in the file, nothing copied, nothing believed.

https://protobuf.dev/programming-guides/encoding/. Lists of numbers, which trees have by the hundred thousand, are
stepped over in one go, packed or not.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Final, NamedTuple

VARINT: Final = 0
FIXED64: Final = 1
BYTES: Final = 2
FIXED32: Final = 5

_WIDTH: Final = {FIXED64: 8, FIXED32: 4}
_VALUE: Final = {
    VARINT: rb"[\x80-\xff]{0,9}[\x00-\x7f]",
    FIXED64: rb"[\x00-\xff]{8}",
    FIXED32: rb"[\x00-\xff]{4}",
}
_FLOAT: Final = {FIXED64: struct.Struct("<d"), FIXED32: struct.Struct("<f")}
_CONTINUED: Final = bytes(range(0x80, 0x100))
_CHUNK: Final = 1 << 20
_MOST: Final = 1 << 64


class WireError(ValueError):
    """These bytes are no message; the text says why."""


class Field(NamedTuple):
    """One field: its number, its wire type, its value if that is VARINT, else 0, where its content begins and ends, and
    of a list of numbers how many there are. What follows one another unpacked is one field, tags included."""

    number: int
    wire: int
    value: int
    start: int
    end: int
    elements: int = 1


def fields(content: bytes, start: int, end: int, lists: Mapping[int, int]) -> Iterator[Field]:
    """The fields of the message that lies there. ``lists``: the numbers, below 16, of those that are lists of numbers,
    with the wire type of an element. Raises WireError."""
    at = start
    while at < end:
        begin = at
        tag, at = _varint(content, at, end)
        number, wire = tag >> 3, tag & 7
        if not 0 < number < 1 << 29:
            raise WireError(f"at byte {begin}: {number} is no field's number")
        kind = lists.get(number)
        if kind is not None and wire == kind:
            run = _run(tag).match(content, begin, end)
            if run is None:
                raise WireError(f"at byte {begin}: it breaks off")
            at = run.end()
            yield Field(number, wire, 0, begin, at, _count(content, begin, at, kind, tagged=True))
        elif wire == VARINT:
            value, after = _varint(content, at, end)
            yield Field(number, wire, value, at, after)
            at = after
        else:
            if wire == BYTES:
                length, at = _varint(content, at, end)
            elif wire in _WIDTH:
                length = _WIDTH[wire]
            else:  # groups, which nothing has used since 2008
                raise WireError(f"at byte {begin}: {wire} is no wire type")
            if length > end - at:
                raise WireError(f"at byte {begin}: it breaks off, {length - (end - at)} bytes early")
            elements = 1 if kind is None else _count(content, at, at + length, kind, tagged=False)
            yield Field(number, wire, 0, at, at + length, elements)
            at += length


def signed(value: int) -> int:
    """A varint as the int64 or int32 it is."""
    return value - _MOST if value >= _MOST >> 1 else value


def numbers(content: bytes, field: Field, kind: int) -> Iterator[float]:
    """The elements of a list, of the wire type ``kind``. Raises WireError."""
    at = field.start
    while at < field.end:
        if field.wire != BYTES:
            at += 1  # the tag
        if kind == VARINT:
            value, at = _varint(content, at, field.end)
            yield signed(value)
        else:
            yield _FLOAT[kind].unpack_from(content, at)[0]
            at += _WIDTH[kind]


@cache
def _run(tag: int) -> re.Pattern[bytes]:
    """Elements with this tag, one behind the other; possessive, for there is nothing to go back for."""
    return re.compile(b"(?:" + re.escape(bytes([tag])) + _VALUE[tag & 7] + b")++")


def _count(content: bytes, start: int, end: int, kind: int, *, tagged: bool) -> int:
    if kind == VARINT:  # the last byte of each is below 0x80, a tag too
        low = 0
        for at in range(start, end, _CHUNK):
            low += len(content[at : min(at + _CHUNK, end)].translate(None, _CONTINUED))
        return low >> tagged
    width = _WIDTH[kind] + tagged
    if (end - start) % width:
        raise WireError(f"at byte {start}: a list that ends within a number")
    return (end - start) // width


def _varint(content: bytes, at: int, end: int) -> tuple[int, int]:
    """The number that begins at a place, and where it ends."""
    if at < end and content[at] < 0x80:
        return content[at], at + 1
    value = shift = 0
    while at < end:
        byte = content[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            if value >= _MOST:
                break
            return value, at
        shift += 7
        if shift > 63:
            break
    raise WireError(f"at byte {at}: no number, or one that breaks off")
