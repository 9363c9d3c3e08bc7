"""Splits what a client read into HTTP/1.1 answers, strictly: two answers to one request cannot hide."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2}) [\t\x20-\x7e\x80-\xff]*")
_TEXT = rb"[\x21-\x7e\x80-\xff]"
_FIELD_LINE = re.compile(
    rb"([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(|"
    + _TEXT
    + rb"|"
    + _TEXT
    + rb"[\t\x20-\x7e\x80-\xff]*"
    + _TEXT
    + rb")[ \t]*"
)
_CHUNK_LINE = re.compile(rb"([0-9A-Fa-f]{1,16})(?:[ \t]*;[\t\x20-\x7e\x80-\xff]*)?")


class NotHTTP(Exception):
    """The bytes are no valid HTTP/1.1 answer."""


class Unfinished(Exception):
    """The bytes are the beginning of an answer."""


@dataclass
class Answer:
    """One answer. ``until_close``: its body is whatever came until the connection closed."""

    status: int
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)
    until_close: bool = False

    def get(self, name: bytes) -> bytes | None:
        """The field's value, several lines joined by a comma; ``name`` in lower case."""
        values = self.all(name)
        return b", ".join(values) if values else None

    def all(self, name: bytes) -> list[bytes]:
        return [value for key, value in self.fields if key == name]


@dataclass
class Answers:
    """What a connection brought: interim answers apart; ``rest`` is the beginning of an answer that never ended."""

    final: list[Answer] = field(default_factory=list)
    interim: list[Answer] = field(default_factory=list)
    rest: bytes = b""

    @property
    def statuses(self) -> list[int]:
        return [answer.status for answer in self.final]


def split_answers(data: bytes, methods: Sequence[bytes] = (), *, closed: bool = True) -> Answers:
    """Split ``data`` (RFC 9112 §6.3). ``methods`` are the requests', GET where there are more answers than those.

    Raises NotHTTP for anything that is no valid answer, stray bytes behind one included.
    """
    out = Answers()
    position = 0
    while position < len(data):
        method = methods[len(out.final)] if len(out.final) < len(methods) else b"GET"
        try:
            answer, position = _parse(data, position, method, closed=closed)
        except Unfinished:
            out.rest = data[position:]
            break
        (out.interim if 100 <= answer.status < 200 and answer.status != 101 else out.final).append(answer)
        if answer.status == 101:
            out.rest = data[position:]
            break
    return out


def first_answer(data: bytes, method: bytes = b"GET", *, closed: bool = True) -> Answer:
    """The first final answer in ``data``, whatever follows it. Raises NotHTTP or Unfinished."""
    position = 0
    while True:
        answer, position = _parse(data, position, method, closed=closed)
        if answer.status >= 200 or answer.status == 101:
            return answer


def _parse(data: bytes, position: int, method: bytes, *, closed: bool) -> tuple[Answer, int]:
    line, position = _line(data, position)
    match = _STATUS_LINE.fullmatch(line)
    if match is None:
        raise NotHTTP(f"status line {line[:80]!r}")
    fields, position = _fields(data, position)
    answer = Answer(int(match[1]), fields)
    lengths, codings = answer.all(b"content-length"), answer.all(b"transfer-encoding")
    if len(lengths) > 1 or (lengths and codings) or (lengths and not lengths[0].isdigit()):
        raise NotHTTP(f"ambiguous framing {lengths} {codings}")
    if method == b"HEAD" or answer.status < 200 or answer.status in {204, 304}:
        return answer, position
    if codings:
        if codings != [b"chunked"]:
            raise NotHTTP(f"transfer coding {codings}")
        return _chunked(data, position, answer)
    if lengths:
        end = position + int(lengths[0])
        if end > len(data):
            raise Unfinished
        answer.body = data[position:end]
        return answer, end
    if not closed:
        raise Unfinished
    answer.body, answer.until_close = data[position:], True
    return answer, len(data)


def _chunked(data: bytes, position: int, answer: Answer) -> tuple[Answer, int]:
    body = bytearray()
    while True:
        line, position = _line(data, position)
        match = _CHUNK_LINE.fullmatch(line)
        if match is None:
            raise NotHTTP(f"chunk line {line[:80]!r}")
        size = int(match[1], 16)
        if size == 0:
            break
        if position + size + 2 > len(data):
            raise Unfinished
        body += data[position : position + size]
        position += size
        if data[position : position + 2] != b"\r\n":
            raise NotHTTP("a chunk without its CRLF")
        position += 2
    answer.trailers, position = _fields(data, position)
    answer.body = bytes(body)
    return answer, position


def _fields(data: bytes, position: int) -> tuple[list[tuple[bytes, bytes]], int]:
    fields: list[tuple[bytes, bytes]] = []
    while True:
        line, position = _line(data, position)
        if not line:
            return fields, position
        match = _FIELD_LINE.fullmatch(line)
        if match is None:
            raise NotHTTP(f"field line {line[:80]!r}")
        fields.append((match[1].lower(), match[2]))


def _line(data: bytes, position: int) -> tuple[bytes, int]:
    end = data.find(b"\r\n", position)
    if end < 0:
        raise Unfinished
    return data[position:end], end + 2
