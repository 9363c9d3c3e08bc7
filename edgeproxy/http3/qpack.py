"""Field sections of HTTP/3 (RFC 9204) without a memory: static table and literals alone.

So a stored answer's lines are encoded once and serve every connection; blocks may be joined. What a table would save
in bytes it would cost in state and in waiting for the peer's acknowledgements.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from edgeproxy.http2 import huffman, integers
from edgeproxy.http2.hpack import SECRET
from edgeproxy.http3.static_table import STATIC

BEGINNING: Final = b"\0\0"  # of every section: it refers to no dynamic table (RFC 9204 §4.5.1)
PREFIXES_KEPT: Final = 1024
NAME_LONGEST: Final = 64

_FIELDS: Final[dict[tuple[bytes, bytes], int]] = {field: index for index, field in enumerate(STATIC)}
_NAMES: Final[dict[bytes, int]] = {name: index for index, (name, _) in reversed(list(enumerate(STATIC)))}
_VALUED: Final[frozenset[bytes]] = frozenset(name for name, value in STATIC if value)

_prefixes: Final[dict[bytes, bytes]] = {}  # a name as a literal's beginning


def line(name: bytes, value: bytes) -> bytes:
    """One field line; ``name`` in lower case."""
    if name in _VALUED:
        index = _FIELDS.get((name, value), -1)
        if index >= 0:
            return integers.encode(0xC0, 0x3F, index)
    prefix = _prefixes.get(name) or _prefix(name)
    size = len(value)
    if size < 0x7F:
        return b"%b%c%b" % (prefix, size, value)
    return b"%b%b%b" % (prefix, integers.encode(0x00, 0x7F, size), value)


def encode(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A whole field section."""
    return BEGINNING + b"".join([line(name, value) for name, value in fields])


def decode(block: bytes) -> list[tuple[bytes, bytes]] | None:
    """The fields of a section that refers to no dynamic table; None for any other, and for what is none."""
    if block[:2] != BEGINNING:
        return None
    fields: list[tuple[bytes, bytes]] = []
    at, end = 2, len(block)
    try:
        while at < end:
            first = block[at]
            if first & 0xC0 == 0xC0:
                index, at = _integer(block, at, 0x3F)
                fields.append(STATIC[index])
                continue
            if first & 0xD0 == 0x50:
                index, at = _integer(block, at, 0x0F)
                name = STATIC[index][0]
            elif first & 0xE0 == 0x20:
                name, at = _string(block, at, 0x07)
            else:
                return None
            value, at = _string(block, at, 0x7F)
            fields.append((name, value))
    except (IndexError, ValueError):
        return None
    return fields


def _integer(block: bytes, at: int, mask: int) -> tuple[int, int]:
    """An integer, and where it ends. Raises IndexError, ValueError."""
    value = block[at] & mask
    at += 1
    return (value, at) if value < mask else integers.decode(block, at, value)


def _string(block: bytes, at: int, mask: int) -> tuple[bytes, int]:
    """A string, and where it ends (RFC 9204 §4.1.2). Raises IndexError, ValueError."""
    coded = block[at] & (mask + 1)
    size, at = _integer(block, at, mask)
    end = at + size
    if end > len(block):
        raise ValueError("a string without its end")
    if not coded:
        return block[at:end], end
    text = huffman.decode(block[at:end])
    if text is None:
        raise ValueError("a string that is not Huffman-coded")
    return text, end


def _prefix(name: bytes) -> bytes:
    """What a literal begins with: the number of a static name, or the name."""
    index = _NAMES.get(name, -1)
    if index >= 0:
        prefix = integers.encode(0x70 if name in SECRET else 0x50, 0x0F, index)  # RFC 9204 §4.5.4
    else:
        prefix = integers.encode(0x30 if name in SECRET else 0x20, 0x07, len(name)) + name  # §4.5.6
    if len(name) <= NAME_LONGEST:
        if len(_prefixes) >= PREFIXES_KEPT:
            _prefixes.clear()
        _prefixes[name] = prefix
    return prefix
