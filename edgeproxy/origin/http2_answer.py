"""An HTTP/2 answer as it comes: field sections checked (RFC 9113 §8.2, §8.3.2), the body counted (§8.1.1). No I/O."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Final

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.http.framing import keep_trailers
from edgeproxy.http.headers import HOP_BY_HOP, Headers, add
from edgeproxy.origin.answer import FIELD_LIMIT, INTERIM_LIMIT
from edgeproxy.origin.wire import Call

NO_BODY: Final[frozenset[int]] = frozenset((204, 304))  # RFC 9110 §6.4.1

Pairs = Sequence[tuple[bytes, bytes]]

_NAME: Final = re.compile(rb"[!#$%&'*+\-.^_`|~0-9a-z]+").fullmatch
_VALUE: Final = re.compile(rb"(?:[^\0\r\n \t](?:[^\0\r\n]*[^\0\r\n \t])?)?").fullmatch
_STATUS: Final = re.compile(rb"[1-9][0-9]{2}").fullmatch
# RFC 9113 §8.2.2: a connection has no fields.
_OF_CONNECTIONS: Final = frozenset(
    (b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
)


class Answer:
    """The answer to one request. ``head`` is None before it has come; ``whole``: nothing follows; ``switched``: it is a
    tunnel from here on. Pieces of the body go to ``pipe`` if there is one, else to ``chunks``.

    All that takes something raises EdgeError where it is none of an answer's.
    """

    __slots__ = (
        "_call",
        "_came",
        "_interim",
        "chunks",
        "head",
        "length",
        "pipe",
        "status",
        "switched",
        "trailers",
        "whole",
    )

    def __init__(self, call: Call) -> None:
        self._call = call
        self._came = self._interim = self.status = 0
        self.head: Headers | None = None
        self.length: int | None = None
        self.chunks: list[bytes] = []
        self.pipe: Pipe | None = None
        self.trailers: Headers | None = None
        self.switched = self.whole = False

    def take_head(self, pairs: Pairs, *, ended: bool) -> None:
        """A head, perhaps of an interim answer."""
        status, fields = head_of(pairs)
        if status < 200:
            self._skip_interim(status, fields, ended=ended)
            return
        call = self._call
        self.status, self.head = status, fields
        self.length = length_of(fields)
        if call.method == b"HEAD" or status in NO_BODY:
            self.length = 0
            if status == 204:
                fields.pop(b"content-length", None)  # RFC 9110 §8.6
        if ended:
            self.finish()
        elif call.tunnel and status < 300:
            self.switched, self.length = True, None

    def take_data(self, data: bytes) -> None:
        """A piece of the body."""
        self._came += len(data)
        if self.length is not None and self._came > self.length:
            raise invalid("more of a body than was announced")
        if data and self.pipe is not None:
            self.pipe.feed(data)
        elif data:
            self.chunks.append(data)

    def take_trailers(self, pairs: Pairs) -> None:
        """What stands behind the body."""
        self.trailers = keep_trailers(_fields(pairs)) or None
        self.finish()

    def finish(self) -> None:
        """The origin has ended its side."""
        if self.length is not None and self._came != self.length:
            raise invalid("a body of another length than announced")
        self.whole = True

    def _skip_interim(self, status: int, fields: Headers, *, ended: bool) -> None:
        """RFC 9110 §15.2: they are passed on; 100 answers an Expect, which is never sent on."""
        self._interim += 1
        if ended or self._interim > INTERIM_LIMIT:
            raise invalid("an interim answer that is the last" if ended else "too many interim answers")
        if status > 100 and self._call.interim is not None:
            fields.pop(b"content-length", None)
            self._call.interim(status, fields)

    def __repr__(self) -> str:
        state = "whole" if self.whole else "streaming" if self.head is not None else "awaited"
        return f"<Answer {self.status} {state}>"


def head_of(pairs: Pairs) -> tuple[int, Headers]:
    """An answer's status and its fields. Raises EdgeError if they are none."""
    if not pairs or pairs[0][0] != b":status":
        raise invalid("no status")
    status = pairs[0][1]
    if not _STATUS(status) or status == b"101":  # RFC 9113 §8.6: nothing is switched
        raise invalid("an invalid status")
    fields = _fields(pairs[1:])
    for name in HOP_BY_HOP.intersection(fields):
        del fields[name]
    return int(status), fields


def length_of(fields: Headers) -> int | None:
    """The body's length, if the head tells it. Raises EdgeError."""
    told = fields.get(b"content-length")
    if told is None:
        return None
    if not told.isdigit() or len(told) > 18:
        raise invalid("an invalid Content-Length")
    return int(told)


def invalid(detail: str) -> EdgeError:
    """What comes is no answer."""
    return EdgeError(Kind.RESPONSE_INVALID, "origin", detail)


def too_large(detail: str) -> EdgeError:
    """Nobody could bear it."""
    return EdgeError(Kind.RESPONSE_TOO_LARGE, "origin", detail)


def _fields(pairs: Pairs) -> Headers:
    if len(pairs) > FIELD_LIMIT:
        raise too_large(f"more than {FIELD_LIMIT} fields")
    fields: Headers = {}
    for name, value in pairs:
        if not _NAME(name):
            raise invalid("an invalid field name")
        if not _VALUE(value):
            raise invalid("an invalid field value")
        if name in fields:
            add(fields, name, value)
        else:
            fields[name] = value
    if not _OF_CONNECTIONS.isdisjoint(fields):
        raise invalid("a field of HTTP/1.1 connections")
    return fields
