"""Numbers of one to eight bytes whose first two bits say how many (RFC 9000 §16)."""

from __future__ import annotations

from typing import Final

MOST: Final = (1 << 62) - 1


def encode(value: int) -> bytes:
    """The shortest form of 0 to :data:`MOST`. Raises ValueError for any other number."""
    if value < 0x40:
        if value < 0:
            raise ValueError("a number below 0")
        return bytes((value,))
    if value < 0x4000:
        return (value | 0x4000).to_bytes(2, "big")
    if value < 0x40000000:
        return (value | 0x80000000).to_bytes(4, "big")
    if value > MOST:
        raise ValueError("a number of more than 62 bits")
    return (value | 0xC000000000000000).to_bytes(8, "big")


def size(first: int) -> int:
    """How many bytes a number has whose first is this."""
    return 1 << (first >> 6)


def decode(data: bytes, at: int) -> int:
    """The number at ``at``, all of whose :func:`size` bytes are there."""
    first = data[at]
    if first < 0x40:
        return first
    width = 1 << (first >> 6)
    return int.from_bytes(data[at : at + width], "big") & ((1 << (8 * width - 2)) - 1)


def decode_all(data: bytes) -> list[int] | None:
    """The numbers that ``data`` is made of, None if the last one is not whole."""
    numbers: list[int] = []
    at, end = 0, len(data)
    while at < end:
        width = size(data[at])
        if at + width > end:
            return None
        numbers.append(decode(data, at))
        at += width
    return numbers
