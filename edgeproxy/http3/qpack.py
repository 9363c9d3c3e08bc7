"""Field sections of HTTP/3 (RFC 9204) without a memory: static table and literals alone.

So a stored answer's lines are encoded once and serve every connection; blocks may be joined. What a table would save
in bytes it would cost in state and in waiting for the peer's acknowledgements. Nor is a client offered one: no request
waits for what another stream has to bring first.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, cast

from edgeproxy.http.headers import usual_name
from edgeproxy.http2.events import FieldList
from edgeproxy.http2.strings import COMMON, SECRET, CompressionError, Texts, read_integer, read_string, write_integer
from edgeproxy.http3.codes import QPACK_DECOMPRESSION_FAILED, ProtocolError, TooLargeError
from edgeproxy.http3.static_table import STATIC

BEGINNING: Final = b"\0\0"  # of every section: it refers to no dynamic table (RFC 9204 §4.5.1)
LINE: Final = 32  # bytes a field line counts beside its name and value (RFC 9114 §4.2.2)
OWN_ROOM: Final = 4096  # bytes of a client's own secrets that are remembered while its connection lasts
OWN_LONGEST: Final = 2048
PREFIXES_KEPT: Final = 1024
NAME_LONGEST: Final = 64

_FIELDS: Final[dict[tuple[bytes, bytes], int]] = {field: index for index, field in enumerate(STATIC)}
_NAMES: Final[dict[bytes, int]] = {name: index for index, (name, _) in reversed(list(enumerate(STATIC)))}
# Lines are handled as any objects: so the compiled build passes a tuple on as it is, and does not make another.
_STATIC: Final = cast("list[object]", list(STATIC))
_SIZES: Final[list[int]] = [len(name) + len(value) + LINE for name, value in STATIC]
_VALUED: Final[frozenset[bytes]] = frozenset(name for name, value in STATIC if value)

_prefixes: Final[dict[bytes, bytes]] = {}  # a name as a literal's beginning


def line(name: bytes, value: bytes) -> bytes:
    """One field line; ``name`` in lower case."""
    if name in _VALUED:
        index = _FIELDS.get((name, value), -1)
        if index >= 0:
            return write_integer(0xC0, 0x3F, index)
    prefix = _prefixes.get(name) or _prefix(name)
    size = len(value)
    if size < 0x7F:
        return b"%b%c%b" % (prefix, size, value)
    return b"%b%b%b" % (prefix, write_integer(0x00, 0x7F, size), value)


def encode(fields: Iterable[tuple[bytes, bytes]]) -> bytes:
    """A whole field section."""
    return BEGINNING + b"".join([line(name, value) for name, value in fields])


class Decoder:
    """One connection's. It has no table to refer to, but remembers what the same client says again: a cookie comes with
    each request, and is nobody else's. ``most``: bytes of a section, counted as RFC 9114 §4.2.2 does."""

    __slots__ = ("_most", "_own")

    def __init__(self, most: int) -> None:
        self._most = most
        self._own = Texts(OWN_ROOM, OWN_LONGEST)

    def decode(self, block: bytes) -> FieldList:
        """The fields of a section, in their order, names as they were sent. Raises ProtocolError, TooLargeError."""
        try:
            return self._decode(block)
        except CompressionError as error:
            raise ProtocolError(QPACK_DECOMPRESSION_FAILED, str(error)) from None

    def _decode(self, block: bytes) -> FieldList:
        out: list[object] = []
        position, end = _begun(block), len(block)
        size = 0
        while position < end:
            first = block[position]
            position += 1
            if first >= 0xC0:  # RFC 9204 §4.5.2: a line of the static table
                index = first & 0x3F
                if index == 0x3F:
                    index, position = read_integer(block, position, index)
                if index >= len(_STATIC):
                    raise CompressionError("an unknown line")
                size += _SIZES[index]
                out.append(_STATIC[index])
            else:
                if first & 0xD0 == 0x50:  # §4.5.4: a literal with a name of it
                    index = first & 0x0F
                    if index == 0x0F:
                        index, position = read_integer(block, position, index)
                    if index >= len(_STATIC):
                        raise CompressionError("an unknown name")
                    name = STATIC[index][0]
                    never = first & 0x20
                elif first & 0xE0 == 0x20:  # §4.5.6: a literal with a name of its own
                    name, position = _own_name(block, position, first)
                    never = first & 0x10
                else:
                    raise CompressionError("a reference to a table that there is not")
                texts = None if never else self._own if name in SECRET else COMMON
                value, position = read_string(block, position, texts)
                size += len(name) + len(value) + LINE
                out.append((name, value))
            if size > self._most:
                raise TooLargeError
        return cast("FieldList", out)

    def __repr__(self) -> str:
        return f"<Decoder {self._own}>"


def _begun(block: bytes) -> int:
    """Where the lines begin behind the section's prefix (RFC 9204 §4.5.1). What it counts the table's entries from may
    be any number, as nothing refers to it."""
    if len(block) < 2 or block[0] or block[1] >= 0x80:
        raise CompressionError("a section that refers to a table, or has no beginning")
    return 2 if block[1] != 0x7F else read_integer(block, 2, 0x7F)[1]


def _own_name(block: bytes, position: int, first: int) -> tuple[bytes, int]:
    """A name that is spelled out, and where it ends."""
    size = first & 0x07
    if size == 0x07:
        size, position = read_integer(block, position, size)
    end = position + size
    if end > len(block):
        raise CompressionError("a name without its end")
    name = block[position:end]
    if first & 0x08:
        name = COMMON.read(name)
    return usual_name(name), end


def _prefix(name: bytes) -> bytes:
    """What a literal begins with: the number of a static name, or the name."""
    index = _NAMES.get(name, -1)
    if index >= 0:
        prefix = write_integer(0x70 if name in SECRET else 0x50, 0x0F, index)  # RFC 9204 §4.5.4
    else:
        prefix = write_integer(0x30 if name in SECRET else 0x20, 0x07, len(name)) + name  # §4.5.6
    if len(name) <= NAME_LONGEST:
        if len(_prefixes) >= PREFIXES_KEPT:
            _prefixes.clear()
        _prefixes[name] = prefix
    return prefix
