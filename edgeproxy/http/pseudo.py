"""Field sections of HTTP/2 and HTTP/3: a request out of one, and one out of an answer (RFC 9113 §8, RFC 9114 §4).

Nothing here knows frames. What comes out is what HTTP/1.1 gives (:mod:`edgeproxy.http.framing`): the same refusals,
targets and authorities read by the same code, and a Host field first, whichever way the client named it.
"""

from __future__ import annotations

import base64
import os
import re
from collections.abc import Iterable
from typing import Final, cast

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.forwarded import CLAIMS
from edgeproxy.http.framing import keep_trailers
from edgeproxy.http.headers import HOP_BY_HOP, ONCE, PERSONAL, Headers, add, lines, lower_name, tokens
from edgeproxy.http.message import UNKNOWN_LENGTH, Request, Response
from edgeproxy.http.target import parse_authority, parse_target

Pair = tuple[bytes, bytes]
Pairs = list[Pair]

PAIRS_KEPT: Final = 8192
PAIR_LONGEST: Final = 256  # bytes of a name and its value
TARGETS_KEPT: Final = 8192
TARGET_LONGEST: Final = 256

_PSEUDO: Final = frozenset((b":method", b":scheme", b":authority", b":path", b":protocol"))
_SCHEMES: Final = frozenset((b"http", b"https"))
_TOKEN: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9A-Za-z-]+")
_NAME: Final = re.compile(rb"[!#$%&'*+.^_`|~0-9a-z-]+")  # RFC 9113 §8.2: no capital letter
# What no value holds (RFC 9110 §5.5), and what none begins or ends with (RFC 9113 §8.2.1).
_UNPRINTED: Final = bytes(byte for byte in range(256) if (byte < 0x20 and byte != 0x09) or byte == 0x7F)
_BLANKS: Final = frozenset((b" ", b"\t"))
_PATH: Final = re.compile(rb"/[!-~]*")

# What the parser of HTTP/1.1 takes, as one object each: who counts compares identity first.
_METHODS: Final[dict[bytes, bytes]] = {
    method: method
    for method in (
        *(b"ACL", b"BIND", b"CHECKOUT", b"CONNECT", b"COPY", b"DELETE", b"GET", b"HEAD", b"LINK", b"LOCK", b"M-SEARCH"),
        *(b"MERGE", b"MKACTIVITY", b"MKCALENDAR", b"MKCOL", b"MOVE", b"NOTIFY", b"OPTIONS", b"PATCH", b"POST"),
        *(b"PROPFIND", b"PROPPATCH", b"PURGE", b"PUT", b"QUERY", b"REBIND", b"REPORT", b"SEARCH", b"SUBSCRIBE"),
        *(b"TRACE", b"UNBIND", b"UNLINK", b"UNLOCK", b"UNSUBSCRIBE"),
    )
}

# RFC 9113 §8.2.2, RFC 9114 §4.2: what is for one connection of HTTP/1.1.
_WITHOUT_UPGRADE: Final = frozenset((b"2", b"3"))
_ASKED: Final = frozenset((b"connection", b"upgrade", b"sec-websocket-key"))
CONNECTION: Final = frozenset((b"connection", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade"))
_NOT_PLAIN: Final = HOP_BY_HOP | CLAIMS | {b"content-length", b"expect", b"host"}

# Field lines that were found valid, and that nobody need look at. Keys are said to be any objects: so the compiled
# build looks a line up as it is, and does not put it together anew.
_plain: Final[dict[object, Pair]] = {}
_targets: Final[dict[bytes, tuple[bytes, bytes, bytes]]] = {}
_STATUSES: Final[list[bytes]] = [b"%d" % status for status in range(1000)]


class Malformed(Exception):  # noqa: N818 - the word of RFC 9113 §8.1.1
    """A field section no message may have: the stream is reset with PROTOCOL_ERROR or H3_MESSAGE_ERROR."""


def request(fields: Pairs, version: bytes, scheme: bytes, *, ended: bool = True, websocket: bool = False) -> Request:
    """A request's field section. ``scheme`` is the listener's, as in HTTP/1.1, whatever :scheme says; ``ended`` if no
    content follows; ``websocket`` if extended CONNECT was offered (RFC 8441 §3), whose request for a WebSocket comes
    out as HTTP/1.1's, a GET with Upgrade. The request's length is what Content-Length says, or unknown; Expect stays
    (:func:`edgeproxy.http.framing.expects_continue`).

    Raises Malformed, and EdgeError where the request is understood and refused.
    """
    pseudo: Headers = {}
    begun = 0
    for name, value in fields:
        if name not in _PSEUDO:
            break
        pseudo[name] = value
        begun += 1
    if len(pseudo) != begun:
        raise Malformed("a pseudo-field twice")
    method = _method(pseudo, websocket)
    headers: Headers = {b"host": b""}
    plain = ended
    crumbs: list[bytes] = []  # of Cookie
    said = cast("list[object]", fields)
    for position in range(begun, len(said)):
        known = _plain.get(said[position])
        if known is not None:
            name, value = known
            headers[name] = value
            continue
        name, value = fields[position]
        _check(name, value)
        if name == b"cookie":
            crumbs.append(value)
        elif name in _NOT_PLAIN:
            plain = False
        else:
            _remember(name, value)
        headers[lower_name(name)] = value
    repeats = len(fields) - begun + 1 - len(headers)
    if len(crumbs) > 1:
        headers[b"cookie"] = b"; ".join(crumbs)  # RFC 9113 §8.2.3
        repeats -= len(crumbs) - 1
    if repeats:
        headers = _joined(fields, begun)
    authority = _authority(pseudo.get(b":authority"), headers[b"host"], scheme)
    headers[b"host"] = authority
    named = parse_authority(authority, scheme)
    target, path, query = _target(pseudo[b":path"], method)
    made = Request(method, target, headers, scheme, named.authority, named.host, path, query, version)
    if b":protocol" in pseudo:
        _ask_upgrade(made)
    elif plain:
        made.plain = True
    else:
        made.length = _length(headers, ended)
    return made


def _method(pseudo: Headers, websocket: bool) -> bytes:
    """The method, where all pseudo-fields it needs are there and no others (RFC 9113 §8.3.1, §8.5; RFC 8441 §4)."""
    said = pseudo.get(b":method")
    if said is None:
        raise Malformed("no :method")
    method = _METHODS.get(said)
    if method is None:
        if _TOKEN.fullmatch(said) is None:
            raise Malformed("an invalid :method")
        raise EdgeError(Kind.NOT_IMPLEMENTED, "client", "an unknown method")
    protocol = pseudo.get(b":protocol")
    if protocol is not None and (not websocket or method != b"CONNECT"):
        raise Malformed("a :protocol")
    if method == b"CONNECT" and protocol is None:
        if len(pseudo) != 2 or b":authority" not in pseudo:
            raise Malformed("a CONNECT with other pseudo-fields")
        raise EdgeError(Kind.METHOD_NOT_ALLOWED, "client", "CONNECT")
    if b":scheme" not in pseudo or b":path" not in pseudo:
        raise Malformed("no :scheme or no :path")
    if pseudo[b":scheme"] not in _SCHEMES:
        raise EdgeError(Kind.BAD_REQUEST, "client", "a scheme other than http and https")
    if protocol is None:
        if method == b"TRACE":
            raise EdgeError(Kind.METHOD_NOT_ALLOWED, "client", "TRACE")
        return method
    if protocol != b"websocket":
        raise EdgeError(Kind.NOT_IMPLEMENTED, "client", "an unknown :protocol")  # RFC 9220 §3
    return b"GET"


def _check(name: bytes, value: bytes) -> None:
    """Refuse a field line that is none, or is HTTP/1.1's alone."""
    if name != b"cookie" and _NAME.fullmatch(name) is None:
        raise Malformed("an invalid field name, or a pseudo-field out of place")
    # Quicker than an expression, for values that nobody sends twice.
    if value.translate(None, _UNPRINTED) != value or value[:1] in _BLANKS or value[-1:] in _BLANKS:
        raise Malformed("an invalid field value")
    if name in CONNECTION or (name == b"te" and value.lower() != b"trailers"):
        raise Malformed("a field of HTTP/1.1's connections")


def _remember(name: bytes, value: bytes) -> None:
    if len(name) + len(value) <= PAIR_LONGEST and name not in PERSONAL:
        if len(_plain) >= PAIRS_KEPT:
            _plain.clear()
        pair = (lower_name(name), value)
        _plain[pair] = pair


def _joined(fields: Pairs, begun: int) -> Headers:
    """The same for valid fields of which some have several lines, or one is Host."""
    headers: Headers = {}
    for position in range(begun, len(fields)):
        name, value = fields[position]
        if name in ONCE and name in headers:
            raise EdgeError(Kind.BAD_REQUEST, "client", f"two {name.decode()} fields")
        add(headers, lower_name(name), value)
    return {b"host": headers.pop(b"host", b"")} | headers


def _authority(authority: bytes | None, host: bytes, scheme: bytes) -> bytes:
    """Who is meant, by :authority or Host or both (RFC 9113 §8.3.1, RFC 9114 §4.3.1)."""
    if authority is None:
        if not host:
            raise EdgeError(Kind.BAD_REQUEST, "client", "no :authority and no Host")
        return host
    if host and parse_authority(host, scheme).authority != parse_authority(authority, scheme).authority:
        raise Malformed("a Host that disagrees with :authority")
    return authority


def _target(said: bytes, method: bytes) -> tuple[bytes, bytes, bytes]:
    """Target, path and query."""
    known = _targets.get(said)
    if known is not None:
        return known
    if _PATH.fullmatch(said) is None:
        if said != b"*" or method != b"OPTIONS":
            raise Malformed("an invalid :path")
        return said, said, b""
    parsed = parse_target(said)
    if len(said) <= TARGET_LONGEST:
        if len(_targets) >= TARGETS_KEPT:
            _targets.clear()
        _targets[said] = parsed
    return parsed


def _length(headers: Headers, ended: bool) -> int:
    said = headers.get(b"content-length")
    if said is None:
        return 0 if ended else UNKNOWN_LENGTH
    if not said.isdigit() or len(said) > 18:
        raise Malformed("an invalid Content-Length")
    length = int(said)
    if ended and length:
        raise Malformed("a Content-Length without content")  # RFC 9113 §8.1.1
    return length


def _ask_upgrade(made: Request) -> None:
    """Ask as HTTP/1.1 does (RFC 6455 §4.1); the key proves nothing to us, and origins want one."""
    if b"content-length" in made.headers:
        raise EdgeError(Kind.BAD_REQUEST, "client", "an upgrade with a body")
    made.headers[b"connection"] = b"Upgrade"
    made.headers[b"upgrade"] = b"websocket"
    made.headers[b"sec-websocket-key"] = base64.b64encode(os.urandom(16))


def names(request: Request) -> Iterable[bytes]:
    """The names of a request's fields in their order, without those that were written here for a WebSocket over HTTP/2
    or HTTP/3: where these stand tells nothing of the client."""
    headers = request.headers
    if b"upgrade" in headers and request.version in _WITHOUT_UPGRADE:
        return [name for name in headers if name not in _ASKED]
    return headers


def trailers(fields: Pairs) -> Headers:
    """A trailer section, without what may not stand there (RFC 9110 §6.5.1). Raises Malformed."""
    headers: Headers = {}
    for name, value in fields:
        _check(name, value)
        add(headers, lower_name(name), value)
    return keep_trailers(headers)


def response(response: Response) -> list[Pair]:
    """An answer's field section. 101, which HTTP/2 and HTTP/3 do not have, is 200 (RFC 8441 §5)."""
    status = 200 if response.status == 101 else response.status
    head = [(b":status", _STATUSES[status])]
    named = response.get(b"connection")
    unsaid = CONNECTION if named is None else CONNECTION | tokens(named)
    if response.status == 101:
        unsaid |= {b"sec-websocket-accept"}
    for headers in (response.shared.fields, response.stamp.fields, response.own):
        head += section(headers, unsaid)
    return head


def section(headers: Headers, unsaid: frozenset[bytes] = CONNECTION) -> list[Pair]:
    """Header fields as field lines, but for those ``unsaid``."""
    pairs = lines(headers) if b"set-cookie" in headers else headers.items()
    # No blank may stand at a value's end (RFC 9113 §8.2.1); the parser of HTTP/1.1 leaves them.
    return [(name, value.strip(b" \t")) for name, value in pairs if name not in unsaid]
