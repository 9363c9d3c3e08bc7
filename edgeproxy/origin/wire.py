"""Requests as origins get them: one HTTP/1.1 head, built with one join, and a body framed anew."""

from __future__ import annotations

from typing import Final

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body
from edgeproxy.http.framing import wants_tunnel
from edgeproxy.http.headers import HOP_BY_HOP, Headers, lines, serialize, tokens
from edgeproxy.http.loops import PSEUDONYM, marked, was_here
from edgeproxy.http.message import Request
from edgeproxy.pipeline.exchange import Interim

# RFC 9110 §9.2.2: asking twice does what asking once does.
IDEMPOTENT: Final[frozenset[bytes]] = frozenset((b"DELETE", b"GET", b"HEAD", b"OPTIONS", b"PUT", b"TRACE"))
# RFC 9110 §8.6: methods whose content has a meaning say so when there is none.
_WITH_CONTENT: Final[frozenset[bytes]] = frozenset((b"PATCH", b"POST", b"PUT"))
# Set anew here, or for our connection with the client only.
_REPLACED: Final[frozenset[bytes]] = HOP_BY_HOP | {b"cdn-loop", b"content-length", b"expect", b"host", b"via"}
# Numbers: bytes are looked for in bytes at four times the cost.
_UNDERSCORE: Final = 0x5F
_LF: Final = 0x0A
_CR: Final = 0x0D
_NUL: Final = 0x00
_CHUNKED: Final = b"transfer-encoding: chunked\r\n"


class Call:
    """One request, ready to be sent as often as need be.

    ``content`` and ``trailers`` are the whole body if it was here already, ``payload`` the same framed for HTTP/1.1.
    ``length`` is what is said of its length, None for nothing. ``body`` is a body still to be read, None if there is
    none, in HTTP/1.1 ``chunked``; ``begun`` once a part of it was
    read, so that it cannot be sent again. ``fields`` are those that go on to any origin, with ``via`` and ``cdn_loop``
    beside them. ``node`` is what this node is called. ``interim`` takes the 1xx answers. ``until`` is when the exchange
    must have ended, in the loop's time; for an ``rpc`` with a deadline of its own (gRPC) that is the only time-out.
    ``asked`` are the pools asked so far, by name.
    """

    __slots__ = (
        "_block",
        "_whole",
        "asked",
        "begun",
        "body",
        "cdn_loop",
        "chunked",
        "content",
        "fields",
        "idempotent",
        "interim",
        "length",
        "method",
        "payload",
        "rpc",
        "takes_trailers",
        "target",
        "trailers",
        "tunnel",
        "until",
        "via",
    )

    def __init__(self, request: Request, until: float, interim: Interim | None = None, node: bytes = PSEUDONYM) -> None:
        """Raises EdgeError LOOP if the request has been here before. An OPTIONS must have hops left."""
        headers = request.headers
        method = request.method
        if was_here(headers, node):
            raise EdgeError(Kind.LOOP, "edge")
        self.method = method
        self.idempotent = method in IDEMPOTENT
        self.until = until
        self.interim = interim
        self.asked: tuple[str, ...] = ()
        self.begun = False
        self.content = self.payload = b""
        self.body: Body | None = None
        self.trailers: Headers | None = None
        self.length: int | None = None
        self.chunked = False
        self.rpc = False
        self.takes_trailers = b"te" in headers and b"trailers" in tokens(headers[b"te"])
        self.target = request.target
        self.tunnel = b"upgrade" in headers and wants_tunnel(headers)
        fields = headers.copy()
        for name in _REPLACED:
            if name in fields:
                del fields[name]
        names = b"".join(fields)
        if _UNDERSCORE in names:
            # CGI and WSGI read X_User and X-User as one name: a client could speak in the edge's (RFC 3875 §4.1.18).
            fields = {name: value for name, value in fields.items() if _UNDERSCORE not in name}
        if method == b"OPTIONS" and (hops := hops_left(headers)) is not None:
            fields[b"max-forwards"] = b"%d" % (hops - 1)
        self.fields = fields
        self.via = _via(headers, request.version, node)
        self.cdn_loop = marked(headers, node)
        upgrade = headers[b"upgrade"] if self.tunnel else b""
        self._block = b"%bvia: %b\r\ncdn-loop: %b\r\n%b%b\r\n" % (
            serialize(fields),
            self.via,
            self.cdn_loop,
            b"connection: upgrade\r\nupgrade: %b\r\n" % upgrade if self.tunnel else b"",
            self._frame(request.body, method),
        )
        values = b"".join(fields.values() if b"set-cookie" not in fields else [value for _, value in lines(fields)])
        told = b"".join((method, request.target, names, values, self.via, self.cdn_loop, upgrade))
        self._whole = _is_one_line(told)

    def head(self, host: bytes) -> bytes:
        """The head for an origin that is called ``host``.

        Raises EdgeError if a stage put into it what would end a line: fields from the wire were checked there.
        """
        if not (self._whole and _is_one_line(host)):
            raise EdgeError(Kind.INTERNAL, "edge", "a field of the request holds CR, LF or NUL")
        return b"%b %b HTTP/1.1\r\nhost: %b\r\n%b" % (self.method, self.target, host, self._block)

    @property
    def repeatable(self) -> bool:
        """Whether it may be sent again although an origin may have acted on it (RFC 9110 §9.2.2)."""
        return self.idempotent and not self.begun

    def _frame(self, body: Body | None, method: bytes) -> bytes:
        """Take the body if it is here; the line that frames it."""
        if body is None:
            self.length = 0 if method in _WITH_CONTENT else None
            return b"content-length: 0\r\n" if method in _WITH_CONTENT else b""
        whole = body.take()
        if whole is None:
            self.body = body
            self.length = body.length
            self.chunked = body.length is None
            return _CHUNKED if body.length is None else b"content-length: %d\r\n" % body.length
        self.content = self.payload = whole
        self.trailers = body.trailers
        self.length = None if body.trailers else len(whole)
        if body.trailers:
            self.payload = (chunk(whole) if whole else b"") + last_chunk(body.trailers)
            return _CHUNKED
        return b"content-length: %d\r\n" % len(whole)

    def __repr__(self) -> str:
        return f"<Call {self.method.decode('latin-1')} {self.target.decode('latin-1')}{' begun' if self.begun else ''}>"


def hops_left(headers: Headers) -> int | None:
    """How often an OPTIONS may still be sent on; None if that is not limited (RFC 9110 §7.6.2)."""
    limit = headers.get(b"max-forwards", b"").rstrip(b" \t")
    return int(limit) if limit.isdigit() and len(limit) <= 9 else None


def chunk(data: bytes) -> bytes:
    """``data``, not empty, as one chunk (RFC 9112 §7.1)."""
    return b"%x\r\n%b\r\n" % (len(data), data)


def last_chunk(trailers: Headers | None) -> bytes:
    return b"0\r\n%b\r\n" % serialize(trailers) if trailers else b"0\r\n\r\n"


def _is_one_line(text: bytes) -> bool:
    return _LF not in text and _CR not in text and _NUL not in text


def _via(headers: Headers, version: bytes, node: bytes) -> bytes:
    """RFC 9110 §7.6.3: the version is the one the request came in."""
    before = headers.get(b"via")
    own = version + b" " + node
    return own if before is None else before + b", " + own
