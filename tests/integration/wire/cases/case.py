"""One row of the table of hostile requests, and short ways to write its bytes."""

from __future__ import annotations

from typing import NamedTuple

HOST = b"Host: a.example"
SMUGGLED = b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n"


class Case(NamedTuple):
    """Bytes, and what may come of them.

    want: statuses the first answer may have; 0 stands for a connection closed without one.
    answers: how many final answers there may be at most.
    beyond_nginx: why the origin may see a request nginx does not send, or sends otherwise: a rule with its source.
    never: bytes, in lower case, that no request head at the origin may contain.
    origin: how many complete requests the origin may see at most; None: as many as nginx sends.
    """

    name: str
    kind: str
    sent: bytes
    want: tuple[int, ...]
    note: str
    answers: int = 1
    beyond_nginx: str = ""
    never: tuple[bytes, ...] = ()
    origin: int | None = None


def message(start: bytes, *fields: bytes, body: bytes = b"") -> bytes:
    """A start line and field lines, each without its CRLF, and what follows the empty line."""
    return b"\r\n".join((start, *fields)) + b"\r\n\r\n" + body


def get(*fields: bytes, target: bytes = b"/", method: bytes = b"GET", body: bytes = b"") -> bytes:
    return message(b"%b %b HTTP/1.1" % (method, target), HOST, *fields, body=body)


def post(*fields: bytes, body: bytes = b"") -> bytes:
    return get(*fields, method=b"POST", body=body)


def chunked(body: bytes, *fields: bytes) -> bytes:
    return post(b"Transfer-Encoding: chunked", *fields, body=body)
