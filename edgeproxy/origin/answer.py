"""Bytes in, an origin's answer out: llhttp's strictness and what it leaves to its user (RFC 9112 §6). No I/O."""

from __future__ import annotations

from typing import Final

import httptools

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.http.headers import (
    HOP_BY_HOP,
    ORDINARY_CONNECTION,
    Headers,
    add,
    lower_name,
    serialize,
    tokens,
    without_hop_by_hop,
)
from edgeproxy.origin import plain
from edgeproxy.pipeline.exchange import Interim

HEAD_LIMIT: Final = 64 * 1024  # bytes of an answer's head, and of what stands between two pieces of its body
FIELD_LIMIT: Final = 256  # lines
INTERIM_LIMIT: Final = (
    64  # 1xx answers before the final one; one that takes minutes may say 102 or 104 every few seconds
)
SPACE: Final = 0x20
_NO_BODY: Final[frozenset[int]] = frozenset((204, 304))  # RFC 9112 §6.3


class Answer:
    """The answer to the request under way; one object serves a connection's answers one after the other.

    ``has_head`` and ``whole`` tell how far it is, ``until_eof`` that only the connection's end ends it, ``persists``
    that the connection may carry another exchange, ``switched`` (101) the bytes that came behind the head. Pieces of
    the body go to ``pipe`` if there is one, else to ``chunks``. Behind the body, ``fields`` are the trailers.
    """

    __slots__ = (
        "_begun",
        "_fault",
        "_head_only",
        "_interim",
        "_left",
        "_on_interim",
        "_parser",
        "_repeats",
        "_tunnel",
        "_unbounded",
        "chunks",
        "fields",
        "has_head",
        "head",
        "persists",
        "pipe",
        "status",
        "switched",
        "until_eof",
        "whole",
    )

    def __init__(self) -> None:
        self._parser = httptools.HttpResponseParser(self)
        self._fault: EdgeError | None = None
        self.expect(head_only=False, tunnel=False)

    def expect(self, *, head_only: bool, tunnel: bool, interim: Interim | None = None) -> None:
        """Begin anew, for a request by HEAD (``head_only``) or one that asks for an upgrade (``tunnel``). ``interim``
        takes the 1xx answers before the final one."""
        self._head_only = head_only
        self._on_interim = interim
        self._tunnel = tunnel
        self._interim = self._repeats = self._unbounded = self._left = self.status = 0
        self._begun = False  # some of the answer has come
        self.has_head = self.whole = self.until_eof = False
        self.persists = True
        self.switched: bytes | None = None
        self.pipe: Pipe | None = None
        self.chunks: list[bytes] = []
        self.fields: Headers = {}
        self.head: Headers = self.fields

    def feed(self, data: bytes) -> None:
        """Take the next bytes. Raises EdgeError if they are not an answer's.

        Bytes behind a whole answer are dropped, and the connection then does not persist.
        """
        if self._left:
            self._take_body(data)
            return
        if not self._begun:
            self._begun = True
            if self._take_plain(data):
                return
        self._unbounded += len(data)
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self.switched = data[upgrade.args[0] :]
            self.head = self.fields
        except httptools.HttpParserError as error:
            self.persists = False
            if not self.whole:
                raise (self._fault or EdgeError(Kind.RESPONSE_INVALID, "origin", str(error))) from None
        if self._unbounded > HEAD_LIMIT and not self.whole and self.switched is None:
            raise self._too_large(f"more than {HEAD_LIMIT} bytes of head or trailers")

    def _take_plain(self, data: bytes) -> bool:
        """Take a whole head past the parser, if it is a plain one, and what there is of the body; the parser then sees
        nothing of this answer."""
        end = -1 if self._head_only or self._tunnel else data.find(b"\r\n\r\n", 0, plain.HEAD_LONGEST)
        if end < 0:
            return False
        fields: Headers = {}
        status = plain.read(data[: end + 1], fields)
        if not status:
            return False
        self.status = status
        self._settle(fields)
        self._left = int(fields[b"content-length"])
        self._take_body(data[end + 4 :])
        return True

    def over(self) -> None:
        """Nobody wants more of it. Its connection keeps it, and is not to keep whoever asked with it."""
        self.pipe = self._on_interim = None

    def _settle(self, fields: Headers) -> None:
        """The final head is here."""
        self.head = fields
        self.has_head = True

    def _take_body(self, data: bytes) -> None:
        """Of a body whose length is known."""
        left = self._left - len(data)
        if left < 0:
            data = data[: self._left]
            self.persists = False
        self._left = max(left, 0)
        self.whole = left <= 0
        if data:
            self._keep(data)

    def _keep(self, data: bytes) -> None:
        if self.pipe is None:
            self.chunks.append(data)
        else:
            self.pipe.feed(data)

    @property
    def length(self) -> int | None:
        """The body's length, if the head tells it."""
        declared = self.head.get(b"content-length")
        return None if declared is None else int(declared)

    # What llhttp tells. A reason raised here it does not pass on, so it is kept.

    def on_message_begin(self) -> None:
        if self.whole:
            raise self._invalid("bytes behind the answer")
        self.fields = {}

    def on_header(self, name: bytes, value: bytes) -> None:
        name = lower_name(name)
        if value and value[-1] <= SPACE:
            value = value.rstrip(b" \t")  # llhttp leaves it there
        fields = self.fields
        if name in fields:
            self._repeats += 1
            if self._repeats > FIELD_LIMIT:
                raise self._too_large(f"more than {FIELD_LIMIT} fields")
            add(fields, name, value)
        else:
            fields[name] = value

    def on_headers_complete(self) -> None:
        parser = self._parser
        status = self.status = parser.get_status_code()
        if status < 200:
            self._skip_interim(status)
            return
        fields, self.fields = self.fields, {}
        if len(fields) + self._repeats > FIELD_LIMIT:
            raise self._too_large(f"more than {FIELD_LIMIT} fields")
        if self._unbounded > HEAD_LIMIT and len(serialize(fields)) > HEAD_LIMIT:
            raise self._too_large(f"more than {HEAD_LIMIT} bytes of head")
        bodiless = self._head_only or status in _NO_BODY
        if not parser.should_keep_alive():
            self._check_close(fields, bodiless)
        if not HOP_BY_HOP.isdisjoint(fields):
            fields = self._end_to_end(fields)
        if bodiless:
            if status == 204:
                fields.pop(b"content-length", None)  # RFC 9110 §8.6
            self.whole = True
            if self._head_only:
                self._parser = httptools.HttpResponseParser(self)  # the old one waits for the body announced
        self._settle(fields)

    def on_body(self, data: bytes) -> None:
        if self.whole:
            raise self._invalid("a body where none belongs")
        self._unbounded = 0
        self._keep(data)

    def on_message_complete(self) -> None:
        if self.has_head:
            self.whole = True

    # Inside.

    def _skip_interim(self, status: int) -> None:
        """RFC 9110 §15.2: any number may come, and is passed on; 101 only when it was asked for (§7.8)."""
        self._interim += 1
        if status == 101:
            if not (self._tunnel and self._parser.should_upgrade()):
                raise self._invalid("an upgrade nobody asked for")
            if self.fields[b"upgrade"].lower() != b"websocket":
                raise self._invalid("an upgrade to another protocol than was asked for")
            for name in (b"content-length", b"transfer-encoding"):
                self.fields.pop(name, None)  # RFC 9110 §8.6, RFC 9112 §6.1: not in a 1xx answer
        elif status < 100 or self._interim > INTERIM_LIMIT:
            raise self._invalid("an invalid status" if status < 100 else "too many interim answers")
        elif status > 101 and self._on_interim is not None:  # 100 answers an Expect, which is never sent on
            fields = without_hop_by_hop(self.fields)
            fields.pop(b"content-length", None)
            self._on_interim(status, fields)

    def _check_close(self, fields: Headers, bodiless: bool) -> None:
        """llhttp says that the connection does not persist, or that only its end ends the answer (RFC 9112 §6.3)."""
        version = self._parser.get_http_version()
        if version not in {"1.1", "1.0"}:
            raise self._invalid("another HTTP version")
        if version == "1.0" and b"transfer-encoding" in fields:
            raise self._invalid("Transfer-Encoding in HTTP/1.0")  # RFC 9112 §6.1
        framed = b"content-length" in fields or b"transfer-encoding" in fields
        self.until_eof = not (bodiless or framed)
        options = tokens(fields.get(b"connection"))
        asked = b"close" not in options and (version == "1.1" or b"keep-alive" in options)
        self.persists = asked and not self.until_eof

    def _end_to_end(self, fields: Headers) -> Headers:
        coding = fields.get(b"transfer-encoding")
        if coding is not None and coding.lower() != b"chunked":
            raise self._invalid("a transfer coding other than chunked")
        if fields.get(b"connection") not in ORDINARY_CONNECTION:
            return without_hop_by_hop(fields)
        for name in HOP_BY_HOP.intersection(fields):
            del fields[name]
        return fields

    def _invalid(self, detail: str) -> EdgeError:
        self._fault = EdgeError(Kind.RESPONSE_INVALID, "origin", detail)
        return self._fault

    def _too_large(self, detail: str) -> EdgeError:
        self._fault = EdgeError(Kind.RESPONSE_TOO_LARGE, "origin", detail)
        return self._fault

    def __repr__(self) -> str:
        state = "whole" if self.whole else "streaming" if self.has_head else "awaited"
        return f"<Answer {self.status} {state}>"
