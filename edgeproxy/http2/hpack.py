"""HPACK, the compression of field sections (RFC 7541): a decoder with bounds, and an encoder without memory.

Every request of HTTP/2 comes through the decoder. A browser says most of its head in numbers that stand for what it
said before, one byte a field; a block of those alone is remembered until the table changes.

The encoder refers to what both sides know from the start and to nothing said before, so that a block it makes is good
on every connection, and blocks may be joined.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from edgeproxy.http.headers import usual_name
from edgeproxy.http2 import huffman
from edgeproxy.http2.static_table import FIELDS, NAMES, NUMBERS
from edgeproxy.http2.static_table import SIZE as STATIC
from edgeproxy.http2.strings import COMMON, SECRET, CompressionError, read_integer, read_string, write_integer

Field = tuple[bytes, bytes]

TABLE: Final = 4096  # bytes a peer's table may have before it has read our settings (RFC 9113 §6.5.2)
OVERHEAD: Final = 32  # bytes a field counts beside its name and value (RFC 7541 §4.1)
HOPELESS: Final = 4  # times the largest field section: the peer is not worth reading on

BLOCKS_KEPT: Final = 64  # of each connection
BLOCK_LONGEST: Final = 128
LINES_KEPT: Final = 4096
LINE_LONGEST: Final = 128  # bytes of a name and its value
PREFIXES_KEPT: Final = 1024

# Lines are handled as any objects: so the compiled build passes a tuple on as it is, and does not make another.
_STATIC: Final = cast("list[object]", FIELDS)
_SIZES: Final[list[int]] = [len(name) + len(value) + OVERHEAD for name, value in FIELDS]


class FieldsTooLarge(Exception):  # noqa: N818 - the peer's doing, and no fault of the block
    """A field section larger than we bear; the table is as the peer has it, and the connection goes on."""


class Decoder:
    """One connection's. ``table``: bytes of the dynamic table that we announced, 4096 at least, which a peer may use
    before it has heard of less; ``most``: bytes of a field section as RFC 9113 §6.5.2 counts them."""

    __slots__ = ("_allowed", "_blocks", "_fields", "_hopeless", "_limit", "_most", "_sizes", "_used")

    def __init__(self, table: int, most: int) -> None:
        self._allowed = max(table, TABLE)
        self._limit = TABLE  # the peer's choice
        self._most = most
        self._hopeless = HOPELESS * most
        self._used = 0
        self._fields: list[Field] = []  # the newest last
        self._sizes: list[int] = []
        self._blocks: dict[bytes, list[Field]] = {}

    def decode(self, block: bytes) -> list[Field]:
        """The fields of one section, in their order, names as they were sent. The list may be given out again: it is
        not to be changed. Raises CompressionError, and FieldsTooLarge."""
        known = self._blocks.get(block)
        if known is not None:
            return known
        out: list[object] = []
        table = cast("list[object]", self._fields)
        position, end = self._resized(block), len(block)
        indexed = position == 0  # and so is every field until now
        size = 0  # of the section
        while position < end:
            byte = block[position]
            if byte >= 0x80:  # RFC 7541 §6.1: an indexed field
                number = byte & 0x7F
                position += 1
                if number == 0x7F:
                    number, position = read_integer(block, position, number)
                behind = number - STATIC
                if behind > 0:
                    if behind > len(table):
                        raise CompressionError("an unknown field number")
                    size += self._sizes[-behind]
                    out.append(table[-behind])
                elif number:
                    size += _SIZES[number]
                    out.append(_STATIC[number])
                else:
                    raise CompressionError("a field number 0")
            else:
                field, position = self._literal(block, position)
                indexed = False
                size += len(field[0]) + len(field[1]) + OVERHEAD
                out.append(field)
            if size > self._most:
                out.clear()
                if size > self._hopeless:
                    raise CompressionError("a field section beyond all measure")
        if size > self._most:
            raise FieldsTooLarge
        fields = cast("list[Field]", out)
        if indexed and end <= BLOCK_LONGEST:
            if len(self._blocks) >= BLOCKS_KEPT:
                self._blocks.clear()
            self._blocks[block] = fields
        return fields

    def _name(self, number: int) -> bytes:
        if number <= STATIC:
            return FIELDS[number][0]
        behind = number - STATIC
        if behind > len(self._fields):
            raise CompressionError("an unknown field number")
        return self._fields[-behind][0]

    def _literal(self, block: bytes, position: int) -> tuple[Field, int]:
        """A field that is spelled out (RFC 7541 §6.2), and where it ends."""
        byte = block[position]
        if byte & 0x60 == 0x20:
            raise CompressionError("a table size behind a field")  # RFC 7541 §4.2
        mask = 0x3F if byte & 0x40 else 0x0F
        number = byte & mask
        position += 1
        if number == mask:
            number, position = read_integer(block, position, number)
        if number:
            name = self._name(number)
        else:
            name, position = read_string(block, position, COMMON)
            name = usual_name(name)  # it is not known yet whether it is one
        value, position = read_string(block, position, None if name in SECRET else COMMON)
        field = (name, value)
        if byte & 0x40:
            size = len(name) + len(value) + OVERHEAD
            self._fields.append(field)
            self._sizes.append(size)
            self._used += size
            self._evict()
        return field, position

    def _resized(self, block: bytes) -> int:
        """Take the changes of the table's size a block begins with (RFC 7541 §4.2, §6.3); where they end."""
        position, end = 0, len(block)
        while position < end and block[position] & 0xE0 == 0x20:
            limit = block[position] & 0x1F
            position += 1
            if limit == 0x1F:
                limit, position = read_integer(block, position, limit)
            if limit > self._allowed:
                raise CompressionError("a table larger than announced")
            self._limit = limit
            self._evict()
        return position

    def _evict(self) -> None:
        """Let the oldest go until the rest fits (RFC 7541 §4.3, §4.4)."""
        if self._blocks:
            self._blocks.clear()  # numbers mean something else now
        gone = 0
        while self._used > self._limit:
            self._used -= self._sizes[gone]
            gone += 1
        if gone:
            del self._fields[:gone]
            del self._sizes[:gone]

    def __repr__(self) -> str:
        return f"<Decoder {len(self._fields)} fields, {self._used} of {self._limit} bytes>"


_VALUED: Final = frozenset(name for name, value in NUMBERS if value)
_prefixes: Final[dict[bytes, bytes]] = {}  # a name as a literal's beginning
_lines: Final[dict[Field, bytes]] = {}  # lines whose values are Huffman-coded


def encode(fields: Iterable[Field]) -> bytes:
    """A field section; names in lower case."""
    return b"".join([line(name, value) for name, value in fields])


def line(name: bytes, value: bytes) -> bytes:
    """One field. Its value is not Huffman-coded: that is for what is made once and sent often (:func:`packed`)."""
    if name in _VALUED:
        number = NUMBERS.get((name, value))
        if number is not None:
            return bytes((0x80 | number,))
    prefix = _prefixes.get(name) or _prefix(name)
    size = len(value)
    if size < 0x7F:
        return b"%b%c%b" % (prefix, size, value)
    return b"%b%b%b" % (prefix, write_integer(0x00, 0x7F, size), value)


def packed(name: bytes, value: bytes) -> bytes:
    """One field as short as it can be, at ten times the time."""
    if name in SECRET or len(name) + len(value) > LINE_LONGEST:
        return _packed(name, value)
    known = _lines.get((name, value))
    if known is None:
        if len(_lines) >= LINES_KEPT:
            _lines.clear()
        known = _lines[name, value] = _packed(name, value)
    return known


def _packed(name: bytes, value: bytes) -> bytes:
    number = NUMBERS.get((name, value))
    if number is not None:
        return bytes((0x80 | number,))
    coded = huffman.encode(value)
    if len(coded) >= len(value):
        return line(name, value)
    return b"%b%b%b" % (_prefixes.get(name) or _prefix(name), write_integer(0x80, 0x7F, len(coded)), coded)


def _prefix(name: bytes) -> bytes:
    """What a literal begins with: a name's number, or the name; kept out of every table where it is a secret's."""
    first = 0x10 if name in SECRET else 0x00  # RFC 7541 §6.2.2, §6.2.3
    number = NAMES.get(name)
    if number is not None:
        prefix = write_integer(first, 0x0F, number)
    else:
        coded = huffman.encode(name)
        shorter = len(coded) < len(name)
        text = coded if shorter else name
        prefix = bytes((first,)) + write_integer(0x80 if shorter else 0x00, 0x7F, len(text)) + text
    if len(name) <= LINE_LONGEST:
        if len(_prefixes) >= PREFIXES_KEPT:
            _prefixes.clear()
        _prefixes[name] = prefix
    return prefix
