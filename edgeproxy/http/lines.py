"""Field lines read without a parser, and remembered: nearly every line was seen before.

What is taken is narrower than RFC 9112 §5 has it, and llhttp would have read it the same way: whatever is not plain
beyond doubt is left to that.
"""

from __future__ import annotations

from typing import Final

from edgeproxy.http.headers import known_name

LINES_KEPT: Final = 8192
LINE_LONGEST: Final = 256

_BLANK: Final = 0x20
_COLON: Final = 0x3A
_CR: Final = 0x0D
# What no value of a plain line holds, as "?"; obs-text (RFC 9110 §5.5) stays.
_PRINTED: Final = bytes(byte if 0x20 <= byte < 0x7F or byte >= 0x80 else 0x3F for byte in range(256))
# "connection: keep-alive" says what HTTP/1.1 does anyway.
_PLAIN_CONNECTION: Final = frozenset((b"keep-alive", b"Keep-Alive"))


class Field:
    """One field line: its name in lower case and its value, as the parser would give it."""

    __slots__ = ("name", "value")

    def __init__(self, name: bytes, value: bytes) -> None:
        self.name = name
        self.value = value


class Lines:
    """``refused`` are the names whose lines are never plain, but for "connection: keep-alive"; those of ``personal``
    ones are never remembered. ``known`` are the remembered ones, as they were sent, up to their CR."""

    __slots__ = ("_personal", "_refused", "known")

    def __init__(self, refused: frozenset[bytes], personal: frozenset[bytes]) -> None:
        self._refused = refused
        self._personal = personal
        self.known: dict[bytes, Field] = {}

    def learn(self, line: bytes) -> Field | None:
        """One line as RFC 9112 §5 wants it written: a name the parser has taken before, a colon, at most one space,
        printable characters, no blank at their end, CR. None if it is not so."""
        end = len(line) - 1
        if end < 0 or line[end] != _CR:
            return None
        colon = 0
        while colon < end and line[colon] != _COLON:
            colon += 1
        name = known_name(line[:colon])
        if name is None or colon + 1 >= end:
            return None
        start = colon + 2 if line[colon + 1] == _BLANK else colon + 1
        value = line[start:end]
        if not is_value(value):
            return None
        if name in self._refused and not (name == b"connection" and value in _PLAIN_CONNECTION):
            return None
        field = Field(name, value)
        if len(line) <= LINE_LONGEST and name not in self._personal:
            if len(self.known) >= LINES_KEPT:
                self.known.clear()
            self.known[line] = field
        return field

    def __repr__(self) -> str:
        return f"<Lines {len(self.known)} known>"


def is_value(value: bytes) -> bool:
    """Whether a value has no blanks around it, is not empty, and is made of what may be printed."""
    if not value or value[0] == _BLANK or value[len(value) - 1] == _BLANK:
        return False
    return value.translate(_PRINTED) == value
