"""Plain answer heads, read without the parser's calls for every field, as listener/http1/plain does with requests.

Nearly every answer has its head in one piece, of lines that were seen before, and a Content-Length. Whatever is not
plain beyond doubt (an interim or bodiless status, chunks, a field that frames, steers or comes twice, a byte no field
may hold) is left to llhttp from its first byte.
"""

from __future__ import annotations

import re
from typing import Final

from edgeproxy.http.headers import HOP_BY_HOP, Headers
from edgeproxy.http.lines import Lines

LINES_MOST: Final = 64
HEAD_LONGEST: Final = 16 * 1024  # bytes
_DIGITS_MOST: Final = 15  # of a Content-Length

_USUAL: Final = b"HTTP/1.1 200 OK\r"
_STATUS_LINE: Final = re.compile(rb"HTTP/1\.1 ([2-5][0-9]{2}) [ -~]*\r").fullmatch  # RFC 9112 §4, narrowed
_BODILESS: Final = frozenset((204, 205, 304))

# For the one connection, and of no consequence there (RFC 9110 §7.6.1).
_DROPPED: Final = (b"connection", b"keep-alive")
_lines: Final = Lines(HOP_BY_HOP - {b"keep-alive"}, frozenset((b"set-cookie",)))


def read(head: bytes, fields: Headers) -> int:
    """Read one head, up to the CR of its last line, into ``fields``, which are empty and then hold a Content-Length.
    Its status, or 0 if it is not plain, whatever they hold then."""
    lines = head.split(b"\n")  # each keeps its CR, without which it is not a line
    count = len(lines)
    if count > LINES_MOST:
        return 0
    status = 200 if lines[0] == _USUAL else _status(lines[0])
    if not status:
        return 0
    known = _lines.known
    for index in range(1, count):
        line = lines[index]
        field = known.get(line) or _lines.learn(line)
        if field is None:
            return 0
        fields[field.name] = field.value
    if len(fields) != count - 1:
        return 0
    length = fields.get(b"content-length")
    if length is None or len(length) > _DIGITS_MOST or not length.isdigit():
        return 0
    for name in _DROPPED:
        if name in fields:
            del fields[name]
    return status


def _status(line: bytes) -> int:
    found = _STATUS_LINE(line)
    status = 0 if found is None else int(found[1])
    return 0 if status in _BODILESS else status
