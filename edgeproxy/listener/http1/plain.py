"""Plain request heads, read without the parser's calls for every field.

Nearly every request is a GET without a body whose head arrives in one piece, made of lines that were seen before. A
browser begins its heads with the same lines in the same order, up to those that are the visitor's own: such a
beginning is found by its first bytes and taken whole. What follows is cut at its line ends and looked up line by line.
Whatever is not plain beyond doubt (a body, an upgrade, a field that frames, steers or comes twice, a byte no field may
hold, a head in pieces, one behind another) is left to llhttp, which then reads it from its first byte: what is taken
here it would have read the same way, and every refusal is its own.
"""

from __future__ import annotations

import re
from typing import Final

from edgeproxy.errors import EdgeError
from edgeproxy.http.forwarded import CLAIMS
from edgeproxy.http.headers import HOP_BY_HOP, PERSONAL, Headers
from edgeproxy.http.lines import LINE_LONGEST, LINES_KEPT, Lines, is_value
from edgeproxy.http.target import parse_target

BEGINNINGS_KEPT: Final = 1024
BEGINNING_LONGEST: Final = 1024
WINDOW: Final = 256  # bytes behind the request line by which beginnings are found
ALIKE_MOST: Final = 8  # beginnings with the same window

# RFC 9112 §3 and §5, narrowed: origin-form, one SP, no obs-fold, no obs-text in the target.
_REQUEST_LINE: Final = re.compile(rb"(GET|HEAD) (/[!-~]*) HTTP/1\.1\r")  # its LF is cut off
_CR: Final = 0x0D
_COOKIE: Final = b"Cookie: "
_COOKIE_SIZE: Final = len(_COOKIE)

# What frames the message, steers the connection or speaks for another client.
_NOT_PLAIN: Final = HOP_BY_HOP | CLAIMS | {b"content-length", b"expect"}

# The visitor's own or the page's: a beginning that many share ends before them.
_OWN: Final = PERSONAL | {b"if-modified-since", b"if-none-match", b"if-range", b"range", b"referer"}


class Beginning:
    """The field lines that heads of one browser begin with: as they are sent, and read."""

    __slots__ = ("fields", "sent", "size")

    def __init__(self, sent: bytes, fields: Headers) -> None:
        self.sent = sent
        self.size = len(sent)
        self.fields = fields


class RequestLine:
    """A method and an origin-form target, as :func:`parse_target` gives it."""

    __slots__ = ("method", "path", "query", "target")

    def __init__(self, method: bytes, target: bytes, path: bytes, query: bytes) -> None:
        self.method = method
        self.target = target
        self.path = path
        self.query = query


class Reader:
    """Reads plain heads, and remembers lines and beginnings up to a number and a length."""

    __slots__ = ("_beginnings", "_lines", "_reads", "_request_lines")

    def __init__(self) -> None:
        self._reads = Lines(_NOT_PLAIN, PERSONAL)
        self._lines = self._reads.known
        self._request_lines: dict[bytes, RequestLine] = {}
        self._beginnings: dict[bytes, list[Beginning]] = {}

    def read(self, data: bytes, fields: Headers) -> RequestLine | None:
        """Read one head into ``fields``, which are empty; None if it is not plain, whatever they hold then."""
        if not data.endswith(b"\r\n\r\n"):
            return None
        line, _, rest = data.partition(b"\n")
        first = self._request_lines.get(line) or self._learn_first(line)
        if first is None:
            return None
        alike = self._beginnings.get(rest[:WINDOW])
        if alike is not None:
            for beginning in alike:
                if rest.startswith(beginning.sent):
                    fields.update(beginning.fields)
                    rest = rest[beginning.size :]
                    break
        begun = count = len(fields)
        lines = rest.split(b"\n")  # each keeps its CR, without which it is not a line
        known = self._lines
        new = -1  # the first line that was not known
        for index in range(len(lines) - 2):  # but for what follows the last two line ends
            line = lines[index]
            if line.startswith(_COOKIE):  # looking it up would be in vain
                value = line[_COOKIE_SIZE : len(line) - 1]
                if not is_value(value) or line[len(line) - 1] != _CR:
                    return None
                fields[b"cookie"] = value
            else:
                field = known.get(line)
                if field is None:
                    if new < 0:
                        new = index
                    field = self._reads.learn(line)
                    if field is None:
                        return None
                fields[field.name] = field.value
            count += 1
        if len(fields) != count:
            return None
        if not begun and len(rest) > WINDOW:
            self._begin(lines if new < 0 else lines[:new])
        return first

    def _begin(self, lines: list[bytes]) -> None:
        """Remember the beginning of a head that was read: of ``lines``, which were known, those before the first that
        is somebody's own. So lines that nobody sends twice begin nothing."""
        fields: Headers = {}
        size = 0
        for line in lines:
            field = self._lines.get(line)
            size += len(line) + 1
            if field is None or field.name in _OWN or size > BEGINNING_LONGEST:
                break
            fields[field.name] = field.value
        sent = b"".join([line + b"\n" for line in lines[: len(fields)]])
        if len(sent) < WINDOW:
            return
        if len(self._beginnings) >= BEGINNINGS_KEPT:
            self._beginnings.clear()
        alike = self._beginnings.setdefault(sent[:WINDOW], [])
        if len(alike) >= ALIKE_MOST:
            alike.clear()
        alike.append(Beginning(sent, fields))
        alike.sort(key=_size, reverse=True)

    def _learn_first(self, line: bytes) -> RequestLine | None:
        match = _REQUEST_LINE.fullmatch(line)
        if match is None:
            return None
        try:
            target, path, query = parse_target(match[2])
        except EdgeError:
            return None
        method = b"HEAD" if match[1] == b"HEAD" else b"GET"  # one object each: who counts compares identity first
        read = RequestLine(method, target, path, query)
        if len(line) <= LINE_LONGEST:
            if len(self._request_lines) >= LINES_KEPT:
                self._request_lines.clear()
            self._request_lines[line] = read
        return read


def _size(beginning: Beginning) -> int:
    return beginning.size
