"""HTTP/1.1 requests (RFC 9112) out of the bytes of one connection: plain heads by a short way, all else by llhttp."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final, cast

import httptools

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.framing import (
    check_upgrade,
    expects_continue,
    frame,
    is_other_protocol,
    keep_trailers,
    plain,
    spoken,
    too_large,
)
from edgeproxy.http.headers import ONCE, Headers, add, lower_name, serialize
from edgeproxy.http.message import Request
from edgeproxy.listener.client import Client
from edgeproxy.listener.client_body import ClientBody
from edgeproxy.listener.http1.heads import CONTINUE
from edgeproxy.pipeline.exchange import Exchange, Peer

if TYPE_CHECKING:
    from edgeproxy.listener.server import Endpoint, Server

PIECE: Final = 16 * 1024  # bytes parsed at once where something unbounded may hide in them
CHUNK_LINES: Final = 16  # bytes that frame one chunk of a body: its size in hexadecimal, two CRLF, a short extension
UNREAD_LIMIT: Final = 64 * 1024  # bytes of an unwanted request body that are read over to keep the connection

_UNMEASURED: Final = 1 << 60  # as a head's size: longer than any limit, so it is measured


class Requests(Client):
    """A connection's way in. What is read is handed to :meth:`_take`, what cannot be to :meth:`_refuse`."""

    def __init__(self, server: Server, endpoint: Endpoint, peer: Peer | None) -> None:
        super().__init__(server, endpoint, peer)
        limits = server.limits
        self._head_limit = limits.head_size
        self._line_limit = limits.header_count
        self._reader = server.reader
        self._parser: httptools.HttpRequestParser | None = None  # made when something comes that is no plain head
        self._between = True  # the parser stands between two messages
        self._url = b""
        self._fields: Headers = {}
        self._repeats = 0  # field lines beside the first of their name
        self._head_size = 0  # bytes of an unfinished head, or of what frames a body and was not paid for by its content
        self._body: ClientBody | None = None  # of the message being parsed
        self._body_size = 0
        self._body_mark = 0  # its size when the period began in which it is measured
        self._body_due = 0.0  # when that ends
        self._unread = 0  # bytes of it that were thrown away
        self._last: Exchange | None = None  # the exchange after which the connection closes

    def _take(self, exchange: Exchange) -> None:
        raise NotImplementedError

    def _refuse(self, error: EdgeError) -> None:
        raise NotImplementedError

    def _upgrade_asked(self, tail: bytes) -> None:
        raise NotImplementedError

    def _begin_anew(self) -> None:
        """Read what follows as the first bytes of a connection."""
        self._parser = None
        self._between = True

    def _new_parser(self) -> httptools.HttpRequestParser:
        parser = self._parser = httptools.HttpRequestParser(self)
        return parser

    def _version(self) -> bytes:
        """Which one the last head was in, as far as that is known."""
        return b"1.1" if self._parser is None else spoken(self._parser.get_http_version())

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        self._parser = None  # it holds on to us

    def _parse(self, data: bytes) -> None:
        size = len(data)
        if size > PIECE and (self._body is None or self._body.length is None):
            for start in range(0, size, PIECE):
                self.data_received(data[start : start + PIECE])
            return
        if self._between and self._last is None and size <= self._head_limit and self._take_plain(data):
            return
        passed = self._passed
        if not passed and is_other_protocol(data):
            self._refuse(EdgeError(Kind.VERSION, "client"))
            return
        self._head_size += size
        try:
            (self._parser or self._new_parser()).feed_data(data)
        except httptools.HttpParserUpgrade as upgrade:
            self._upgrade_asked(data[upgrade.args[0] :])
        except httptools.HttpParserError as error:
            if isinstance(cause := error.__context__, EdgeError):
                self._refuse(cause)
            elif not self._deaf:
                self._refuse(EdgeError(Kind.BAD_REQUEST, "client", str(error)))
        else:
            if self._passed != passed:
                self._head_size = 0
            elif self._head_size > self._head_limit and not self._deaf:
                self._refuse(too_large(self._url, self._head_limit, in_body=self._body is not None))
            elif self._body is not None:
                self._head_size = max(self._head_size, 0)
            elif self._head_size == size:  # the first bytes of a head: it must be whole in time
                self.deadline = self._clock() + self._limits.head_timeout

    def _take_plain(self, data: bytes) -> bool:
        """Take one whole head past the parser, if it is a plain one."""
        fields: Headers = {}
        first = self._reader.read(data, fields)
        if first is None:
            return False
        self._passed += 1
        self._head_size = 0
        try:
            if len(fields) > self._line_limit:
                raise EdgeError(Kind.HEAD_TOO_LARGE, "client")
            request = plain(first.method, first.target, first.path, first.query, fields, self._endpoint.scheme)
        except EdgeError as error:
            self._refuse(error)
        else:
            self._take(Exchange(request, self._peer, self._clock()))
        return True

    def on_message_begin(self) -> None:
        self._between = False

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        fields = self._fields
        lower = lower_name(name)
        count = len(fields)
        fields.setdefault(lower, value)
        if len(fields) == count:
            self._repeat(lower, value)

    def _repeat(self, name: bytes, value: bytes) -> None:
        self._repeats += 1
        if name in ONCE:
            raise EdgeError(Kind.BAD_REQUEST, "client", f"two {name.decode()} fields")
        if self._repeats > self._line_limit:
            raise EdgeError(Kind.HEAD_TOO_LARGE, "client")
        add(self._fields, name, value)

    def on_headers_complete(self) -> None:
        self._passed += 1
        url, fields = self._url, self._fields
        self._url = b""
        self._fields = {}
        if self._deaf or self._last is not None:
            return
        if self._head_size > self._head_limit and len(url) + len(serialize(fields)) > self._head_limit:
            raise too_large(url, self._head_limit, in_body=False)
        repeats = self._repeats
        if len(fields) + repeats > self._line_limit:
            raise EdgeError(Kind.HEAD_TOO_LARGE, "client")
        if repeats:
            self._repeats = 0
        parser = cast("httptools.HttpRequestParser", self._parser)
        request = frame(parser.get_method(), url, parser.get_http_version(), fields, self._endpoint.scheme)
        if b"upgrade" in fields:
            check_upgrade(request, asked=parser.should_upgrade())
        if request.length:
            self._expect_body(request)
        exchange = Exchange(request, self._peer, self._clock())
        if not parser.should_keep_alive():
            self._last = exchange
        self._take(exchange)

    def on_body(self, data: bytes) -> None:
        body = self._body
        if body is None:
            return
        self._body_size += len(data)
        self._head_size -= 2 * len(data) + CHUNK_LINES
        now = self._clock()
        self.deadline = now + self._limits.body_timeout
        if self._body_size > self._limits.body_size:
            self._refuse(EdgeError(Kind.BODY_TOO_LARGE, "client"))
        elif now >= self._body_due and not self._keeps_up(now):
            self._refuse(EdgeError(Kind.REQUEST_TIMEOUT, "client"))
        elif body.closed:
            self._unread += len(data)
            if self._unread > UNREAD_LIMIT:
                self.close(linger=True)
        else:
            body.feed(data)

    def on_message_complete(self) -> None:
        self._between = True
        body = self._body
        if body is not None:
            trailers = self._fields
            if len(trailers) + self._repeats > self._line_limit:
                raise EdgeError(Kind.HEAD_TOO_LARGE, "client")
            self._body = None
            self._fields = {}
            self._repeats = 0
            self._passed += 1
            self._head_size = _UNMEASURED  # unless another head follows in the same piece, it is nothing
            body.finish(keep_trailers(trailers) if trailers else None)

    def _expect_body(self, request: Request) -> None:
        if request.length > self._limits.body_size:
            raise EdgeError(Kind.BODY_TOO_LARGE, "client")
        go_on = partial(self.put, CONTINUE) if expects_continue(request) else None
        self._body_size = self._body_mark = self._unread = 0
        request.body = self._body = ClientBody(request.length, self, go_on)
        self.deadline = self._body_due = self._clock() + self._limits.body_timeout

    def _keeps_up(self, now: float) -> bool:
        """Whether the body came fast enough in the period that ends now; another one begins."""
        limits = self._limits
        enough = self._body_size - self._body_mark >= limits.body_rate * limits.body_timeout
        self._body_mark, self._body_due = self._body_size, now + limits.body_timeout
        return enough

    def unhold(self) -> None:
        """What was not read meanwhile did not come slowly."""
        super().unhold()
        self._body_mark, self._body_due = self._body_size, self._clock() + self._limits.body_timeout
        if self._body is not None:
            self.deadline = self._body_due
