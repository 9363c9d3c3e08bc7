"""Integers and strings as HPACK and QPACK write them (RFC 7541 §5; RFC 9204 §4.1 takes them over)."""

from __future__ import annotations

from typing import Final

from edgeproxy.http2 import huffman

INTEGER_MOST: Final = 1 << 31
CONTINUED_MOST: Final = 5  # bytes of an integer behind its first: 35 bits
COMMON_ROOM: Final = 1 << 20  # bytes
COMMON_LONGEST: Final = 256
TEXT_COST: Final = 64  # bytes a string counts beside its coded form where it is remembered

# Never remembered for all, and never to be put into anybody's table (RFC 7541 §7.1.3, RFC 9204 §7.1.3): guesses about
# them could be checked there.
SECRET: Final = frozenset((b"authorization", b"cookie", b"proxy-authorization", b"set-cookie"))


class CompressionError(Exception):
    """A field section that cannot be decoded: the connection is over (RFC 9113 §4.3, RFC 9204 §6)."""


class Texts:
    """Huffman-coded strings that come again, by their coded form. ``room``: bytes of them, each with :data:`TEXT_COST`;
    ``longest``: bytes of one."""

    __slots__ = ("_known", "_longest", "_room", "_used")

    def __init__(self, room: int, longest: int) -> None:
        self._known: dict[bytes, bytes] = {}
        self._room = room
        self._longest = longest
        self._used = 0

    def read(self, coded: bytes) -> bytes:
        """What ``coded`` says. Raises CompressionError."""
        known = self._known.get(coded)
        if known is not None:
            return known
        text = read_text(coded)
        size = len(coded)
        if size <= self._longest:
            self._used += size + TEXT_COST
            if self._used > self._room:
                self._known.clear()
                self._used = size + TEXT_COST
            self._known[coded] = text
        return text

    def __repr__(self) -> str:
        return f"<Texts {len(self._known)}, {self._used} of {self._room} bytes>"


COMMON: Final = Texts(COMMON_ROOM, COMMON_LONGEST)  # of all connections


def read_integer(block: bytes, position: int, value: int) -> tuple[int, int]:
    """An integer whose first byte was full (RFC 7541 §5.1), and where it ends. Raises CompressionError."""
    shift = 0
    for _ in range(CONTINUED_MOST):
        if position >= len(block):
            raise CompressionError("an integer without its end")
        byte = block[position]
        position += 1
        value += (byte & 0x7F) << shift
        if byte < 0x80:
            if value > INTEGER_MOST:
                break
            return value, position
        shift += 7
    raise CompressionError("an integer too large")


def read_string(block: bytes, position: int, texts: Texts | None) -> tuple[bytes, int]:
    """A string (RFC 7541 §5.2), and where it ends. ``texts`` remember it. Raises CompressionError."""
    if position >= len(block):
        raise CompressionError("a field without its end")
    first = block[position]
    size = first & 0x7F
    position += 1
    if size == 0x7F:
        size, position = read_integer(block, position, size)
    end = position + size
    if end > len(block):
        raise CompressionError("a string without its end")
    coded = block[position:end]
    if first < 0x80:
        return coded, end
    return (read_text(coded) if texts is None else texts.read(coded)), end


def read_text(coded: bytes) -> bytes:
    """What a Huffman-coded string says. Raises CompressionError."""
    text = huffman.decode(coded)
    if text is None:
        raise CompressionError("a string that is not Huffman-coded")
    return text


def write_integer(first: int, mask: int, value: int) -> bytes:
    """An integer (RFC 7541 §5.1) in the low bits of its first byte, whose others are ``first``."""
    if value < mask:
        return bytes((first | value,))
    out = [first | mask]
    value -= mask
    while value >= 0x80:
        out.append(0x80 | value & 0x7F)
        value >>= 7
    out.append(value)
    return bytes(out)
