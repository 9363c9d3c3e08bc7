"""Integers behind some bits of their first byte, as HPACK and QPACK write them (RFC 7541 §5.1, RFC 9204 §4.1.1)."""

from __future__ import annotations

from typing import Final

MOST: Final = 1 << 31
CONTINUED_MOST: Final = 5  # bytes of an integer behind its first: 35 bits


def encode(first: int, mask: int, value: int) -> bytes:
    """An integer in the low bits ``mask`` of its first byte, whose others are ``first``."""
    if value < mask:
        return bytes((first | value,))
    out = [first | mask]
    value -= mask
    while value >= 0x80:
        out.append(0x80 | value & 0x7F)
        value >>= 7
    out.append(value)
    return bytes(out)


def decode(block: bytes, position: int, value: int) -> tuple[int, int]:
    """An integer whose first byte was full, which is ``value``, and where it ends; ``position`` is behind that byte.
    Raises ValueError: it has no end, or is larger than :data:`MOST`."""
    shift = 0
    for _ in range(CONTINUED_MOST):
        if position >= len(block):
            raise ValueError("an integer without its end")
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            if value > MOST:
                break
            return value, position
        shift += 7
    raise ValueError("an integer too large")
