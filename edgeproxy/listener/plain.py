"""Plain request heads, read without the parser's calls for every field.

Nearly every request is a GET without a body whose head arrives in one piece, made of lines that were seen before. Such
a head is cut at its line ends and looked up line by line. Whatever is not plain beyond doubt (a body, an upgrade, a
field that frames, steers or comes twice, a byte no field may hold, a head in pieces, one behind another) is left to
llhttp, which then reads it from its first byte: what is taken here it would have read the same way, and every refusal
is its own.
"""

from __future__ import annotations

import re
from typing import Final

from edgeproxy.errors import EdgeError
from edgeproxy.http.forwarded import CLAIMS
from edgeproxy.http.headers import HOP_BY_HOP, Headers, known_name
from edgeproxy.http.target import parse_target

LINES_KEPT: Final = 8192
LINE_LONGEST: Final = 256

# RFC 9112 §3 and §5, narrowed: origin-form, one SP, no obs-fold, no obs-text in the target.
_REQUEST_LINE: Final = re.compile(rb"(GET|HEAD) (/[!-~]*) HTTP/1\.1\r")
_BLANK: Final = 0x20
_COLON: Final = 0x3A
_CR: Final = 0x0D

# What frames the message, steers the connection or speaks for another client. "connection: keep-alive" says what
# HTTP/1.1 does anyway.
_NOT_PLAIN: Final = HOP_BY_HOP | CLAIMS | {b"content-length", b"expect"}
_PLAIN_CONNECTION: Final = frozenset((b"keep-alive", b"Keep-Alive"))

# Never remembered: secrets, and what tells one client from another would crowd out the rest.
_PERSONAL: Final = frozenset((b"authorization", b"cookie", b"proxy-authorization"))


class Field:
    """One field line: its name in lower case and its value, as the parser would give it."""

    __slots__ = ("name", "value")

    def __init__(self, name: bytes, value: bytes) -> None:
        self.name = name
        self.value = value


class RequestLine:
    """A method and an origin-form target, as :func:`parse_target` gives it."""

    __slots__ = ("method", "path", "query", "target")

    def __init__(self, method: bytes, target: bytes, path: bytes, query: bytes) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query


class Reader:
    """Reads plain heads, and remembers lines up to a number and a length."""

    __slots__ = ("_lines", "_request_lines")

    def __init__(self) -> None:
        self._lines: dict[bytes, Field] = {}
        self._request_lines: dict[bytes, RequestLine] = {}

    def read(self, data: bytes, fields: Headers) -> RequestLine | None:
        """Read one head into ``fields``, which are empty; None if it is not plain, whatever they hold then."""
        if not data.endswith(b"\r\n\r\n"):
            return None
        lines = data.split(b"\n")  # each keeps its CR, without which it is not a line
        first = self._request_lines.get(lines[0]) or self._learn_first(lines[0])
        if first is None:
            return None
        known = self._lines
        count = len(lines) - 3  # but for the request line and what follows the last two line ends
        for index in range(1, count + 1):
            line = lines[index]
            field = known.get(line)
            if field is None:
                field = self._learn(line)
                if field is None:
                    return None
            fields[field.name] = field.value
        return first if len(fields) == count else None

    def _learn_first(self, line: bytes) -> RequestLine | None:
        match = _REQUEST_LINE.fullmatch(line)
        if match is None:
            return None
        try:
            target, path, query = parse_target(match[2])
        except EdgeError:
            return None
        read = RequestLine(match[1], target, path, query)
        if len(line) <= LINE_LONGEST:
            if len(self._request_lines) >= LINES_KEPT:
                self._request_lines.clear()
            self._request_lines[line] = read
        return read

    def _learn(self, line: bytes) -> Field | None:
        """One field line as RFC 9112 §5 wants it written: a name the parser has taken before, a colon, at most one
        space, printable characters, no blank at their end."""
        end = len(line) - 1
        if end < 0 or line[end] != _CR or not line[:end].decode("latin-1").isprintable():
            return None
        colon = 0
        while colon < end and line[colon] != _COLON:
            colon += 1
        name = known_name(line[:colon])
        if name is None or colon + 1 >= end:
            return None
        start = colon + 2 if line[colon + 1] == _BLANK else colon + 1
        value = line[start:end]
        if not value or value[0] == _BLANK or line[end - 1] == _BLANK:
            return None
        if name in _NOT_PLAIN and not (name == b"connection" and value in _PLAIN_CONNECTION):
            return None
        field = Field(name, value)
        if len(line) <= LINE_LONGEST and name not in _PERSONAL:
            if len(self._lines) >= LINES_KEPT:
                self._lines.clear()
            self._lines[line] = field
        return field
