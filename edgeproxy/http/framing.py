"""Where one HTTP/1.1 request ends and the next begins: the one place that decides, strictly (RFC 9112 §6, §11).

llhttp has refused what no grammar allows (bare CR or LF, obs-fold, NUL, space before a colon, Content-Length beside
Transfer-Encoding or twice, bad chunk sizes). Here stands what it leaves to its user.
"""

from __future__ import annotations

import re
from typing import Final

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.headers import HOP_BY_HOP, Headers, tokens
from edgeproxy.http.message import UNKNOWN_LENGTH, Request
from edgeproxy.http.target import parse_authority, parse_target

_VERSIONS: Final[dict[str, bytes]] = {"1.1": b"1.1", "1.0": b"1.0"}

# CONNECT is for forward proxies; TRACE would echo what proxies added and browsers hide (RFC 9110 §9.3.6, §9.3.8).
_REFUSED_METHODS: Final[frozenset[bytes]] = frozenset((b"CONNECT", b"TRACE"))

# What Connection cannot take away: what frames, routes and authorises a message, what proxies on its way say of it, and
# what is for one connection anyway and goes when the request is sent on (RFC 9110 §7.6.1, RFC 8586 §3).
_NOT_TO_BE_NAMED: Final[frozenset[bytes]] = HOP_BY_HOP | {
    b"authorization",
    b"cache-control",
    b"cdn-loop",
    b"content-encoding",
    b"content-length",
    b"content-type",
    b"cookie",
    b"expect",
    b"forwarded",
    b"host",
    b"via",
    b"x-forwarded-for",
    b"x-forwarded-host",
    b"x-forwarded-proto",
    b"x-real-ip",
    b"x-request-id",
}

# Fields that frame or route a message may not come behind its body (RFC 9110 §6.5.1).
FORBIDDEN_TRAILERS: Final[frozenset[bytes]] = frozenset(
    (
        b"authorization",
        b"cache-control",
        b"connection",
        b"content-encoding",
        b"content-length",
        b"content-range",
        b"content-type",
        b"cookie",
        b"expect",
        b"host",
        b"keep-alive",
        b"max-forwards",
        b"proxy-authorization",
        b"set-cookie",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)


_OTHER_PROTOCOL: Final = re.compile(rb"(?:\r?\n)*[A-Z]+ [^ \r\n]+ (?:ICE|RTSP)/")


def spoken(version: str) -> bytes:
    """What a request is answered in whose head is not all there, by what a parser made of it: 1.0 or 1.1."""
    return _VERSIONS.get(version, b"1.1")


def frame(method: bytes, target: bytes, version: str, headers: Headers, scheme: bytes) -> Request:
    """Check one request head and say how its body is framed. Raises EdgeError; the connection must then close."""
    number = _VERSIONS.get(version)
    if number is None:
        raise EdgeError(Kind.VERSION, "client")
    if method != b"GET" and method in _REFUSED_METHODS:
        raise EdgeError(Kind.METHOD_NOT_ALLOWED, "client", method.decode())
    length = 0
    if b"transfer-encoding" in headers:
        if version == "1.0":
            raise _bad("Transfer-Encoding in HTTP/1.0")  # RFC 9112 §6.1: its framing cannot be trusted
        if headers[b"transfer-encoding"].lower() != b"chunked":
            raise EdgeError(Kind.NOT_IMPLEMENTED, "client", "a transfer coding other than chunked")
        length = UNKNOWN_LENGTH
    elif b"content-length" in headers:
        declared = headers[b"content-length"].rstrip(b" \t")  # llhttp leaves it there
        if not declared.isdigit() or len(declared) > 18:
            raise _bad("an invalid Content-Length")
        length = int(declared)
    if b"connection" in headers and headers[b"connection"] != b"keep-alive":
        _drop_named(headers)
    host = headers.get(b"host")
    if host is None and version == "1.1":
        raise _bad("no Host")  # RFC 9112 §3.2: also beside absolute-form
    if target[:1] != b"/":
        host, target = _other_form(method, target, host)
    if host is None:
        name = authority = b""
    else:
        known = parse_authority(host, scheme)
        name, authority = known.host, known.authority
    target, path, query = parse_target(target)
    return Request(method, target, headers, scheme, authority, name, path, query, number, length)


def plain(method: bytes, target: bytes, path: bytes, query: bytes, headers: Headers, scheme: bytes) -> Request:
    """The same for a head that has nothing in it to be checked but its Host: HTTP/1.1, GET or HEAD, its origin-form
    target parsed, and no field that frames the message or steers the connection."""
    host = headers.get(b"host")
    if host is None:
        raise _bad("no Host")
    known = parse_authority(host, scheme)
    request = Request(method, target, headers, scheme, known.authority, known.host, path, query)
    request.plain = True
    return request


def _drop_named(headers: Headers) -> None:
    """Take out the fields Connection names, before a stage can add its own under such a name (RFC 9110 §7.6.1)."""
    for name in tokens(headers[b"connection"]) - _NOT_TO_BE_NAMED:
        headers.pop(name, None)


def _other_form(method: bytes, target: bytes, host: bytes | None) -> tuple[bytes | None, bytes]:
    """Absolute-form and asterisk-form (RFC 9112 §3.2.2, §3.2.4); authority-form is CONNECT's, which is refused."""
    if target == b"*" and method == b"OPTIONS":
        return host, target
    scheme, separator, rest = target.partition(b"://")
    if not separator or scheme.lower() not in {b"http", b"https"}:
        raise _bad("an invalid request target")
    end = min(i for i in (rest.find(b"/"), rest.find(b"?"), len(rest)) if i >= 0)
    authority, target = rest[:end], rest[end:]
    if not target.startswith(b"/"):
        target = b"/" + target
    if host is not None and authority.lower() != host.rstrip(b" \t").lower():
        raise _bad("a Host that disagrees with the request target")
    return authority, target


def wants_tunnel(headers: Headers) -> bool:
    """Whether the request asks for the one upgrade that is passed on, WebSocket (RFC 6455 §4.1)."""
    return headers.get(b"upgrade", b"").lower() == b"websocket" and b"upgrade" in tokens(headers.get(b"connection"))


def check_upgrade(request: Request, *, asked: bool) -> None:
    """Drop an Upgrade nobody here takes (RFC 9110 §7.8); ``asked`` if Connection names it. Raises EdgeError.

    A message that asks for an upgrade ends with its head for llhttp: its body would be read as the next request.
    """
    if asked and request.length:
        raise _bad("an upgrade with a body")
    if request.method != b"GET" or request.version == b"1.0" or not wants_tunnel(request.headers):
        del request.headers[b"upgrade"]


def expects_continue(request: Request) -> bool:
    """Take the Expect field (RFC 9110 §10.1.1); HTTP/1.0 has none. Raises EdgeError(EXPECTATION_FAILED)."""
    expectation = request.headers.pop(b"expect", None)
    if expectation is None or request.version == b"1.0":
        return False
    if expectation.rstrip(b" \t").lower() != b"100-continue":
        raise EdgeError(Kind.EXPECTATION_FAILED, "client")
    return True


def too_large(target: bytes, limit: int, *, in_body: bool) -> EdgeError:
    """What a head of more than ``limit`` bytes, or what frames a body, is refused with."""
    if in_body:  # RFC 9112 §7.1.1
        return EdgeError(Kind.BAD_REQUEST, "client", "too long chunk extensions or trailers")
    return EdgeError(Kind.TARGET_TOO_LONG if 2 * len(target) > limit else Kind.HEAD_TOO_LARGE, "client")


def is_other_protocol(data: bytes) -> bool:
    """Whether a first request is of a protocol that looks like HTTP, and that llhttp takes for it."""
    return _OTHER_PROTOCOL.match(data) is not None


def keep_trailers(fields: Headers) -> Headers:
    return {name: value for name, value in fields.items() if name not in FORBIDDEN_TRAILERS}


def _bad(detail: str) -> EdgeError:
    return EdgeError(Kind.BAD_REQUEST, "client", detail)
