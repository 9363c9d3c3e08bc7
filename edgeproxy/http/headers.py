"""Header fields: a plain dict from lower-case name to value, both bytes.

Field lines with one name are one list-valued field (RFC 9110 §5.3), so they are joined as they arrive: with
``", "``, Cookie with ``"; "`` (RFC 6265 §5.4), and Set-Cookie, which must not be joined, with a line feed, which no
field value can contain; :func:`serialize` writes those as lines of their own again.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

Headers = dict[bytes, bytes]

NAMES_KEPT: Final = 1024
NAME_LONGEST: Final = 64
_names: Final[dict[bytes, bytes]] = {}  # names as they were written, and in lower case

# The usual ones of requests and answers. Compiled modules share one object for equal constants, so that looking up a
# field by a constant finds its name to be the very same object, and nothing has to be compared.
_USUAL: Final[dict[bytes, bytes]] = {
    name: name
    for name in (
        *(b"accept", b"accept-encoding", b"accept-language", b"accept-ranges", b"age", b"authorization"),
        *(b"cache-control", b"connection", b"content-encoding", b"content-length", b"content-type", b"cookie"),
        *(b"date", b"dnt", b"etag", b"expires", b"host", b"if-modified-since", b"if-none-match", b"if-range"),
        *(b"last-modified", b"origin", b"pragma", b"priority", b"range", b"referer", b"sec-ch-ua"),
        *(b"sec-ch-ua-mobile", b"sec-ch-ua-platform", b"sec-fetch-dest", b"sec-fetch-mode", b"sec-fetch-site"),
        *(b"sec-fetch-user", b"server", b"set-cookie", b"upgrade-insecure-requests", b"user-agent", b"vary"),
    )
}

_JOINERS: Final[dict[bytes, bytes]] = {b"cookie": b"; ", b"set-cookie": b"\n"}

ONCE: Final[frozenset[bytes]] = frozenset((b"authorization", b"proxy-authorization"))  # RFC 9110 §11.6.2: no list

# Never remembered: secrets, and what tells one client from another would crowd out the rest.
PERSONAL: Final[frozenset[bytes]] = frozenset((b"authorization", b"cookie", b"proxy-authorization"))

# RFC 9110 §7.6.1: for one connection only, whatever Connection names beside them.
HOP_BY_HOP: Final[frozenset[bytes]] = frozenset(
    (
        b"connection",
        b"http2-settings",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
    )
)

# Values of Connection that name no field.
ORDINARY_CONNECTION: Final[frozenset[bytes | None]] = frozenset((None, b"close", b"keep-alive"))


def add(headers: Headers, name: bytes, value: bytes) -> None:
    """Add one field line; ``name`` in lower case."""
    present = headers.get(name)
    headers[name] = value if present is None else present + _JOINERS.get(name, b", ") + value


def lower_name(name: bytes) -> bytes:
    """A field's name in lower case: the same object each time, for the usual names. ``name`` is one that a parser has
    found to be valid: those remembered here are taken for such."""
    lower = _names.get(name)
    if lower is None:
        lower = name.lower()
        lower = _USUAL.get(lower, lower)
        if len(name) <= NAME_LONGEST:
            if len(_names) >= NAMES_KEPT:
                _names.clear()  # begun anew: a flood of odd names is not to keep the usual ones out
            _names[name] = lower
    return lower


def usual_name(name: bytes) -> bytes:
    """The object that look-ups are made with, of a usual name in lower case; any other as it is, and not remembered."""
    return _USUAL.get(name, name)


def known_name(name: bytes) -> bytes | None:
    """The same for a name that :func:`lower_name` remembers."""
    return _names.get(name)


def from_pairs(pairs: Iterable[tuple[bytes, bytes]]) -> Headers:
    headers: Headers = {}
    for name, value in pairs:
        add(headers, name.lower(), value)
    return headers


def serialize(headers: Headers) -> bytes:
    """The field lines as HTTP/1.1 writes them, each ended by CRLF."""
    if b"set-cookie" in headers:
        return b"".join([b"%b: %b\r\n" % (name, value) for name, value in lines(headers)])
    if len(headers) == 1:  # what most hits add of their own: the request's id
        for name, value in headers.items():
            return b"%b: %b\r\n" % (name, value)
    return b"".join([b"%b: %b\r\n" % (name, value) for name, value in headers.items()])


def lines(headers: Headers) -> Iterator[tuple[bytes, bytes]]:
    """Field lines one by one, Set-Cookie split up again."""
    for name, value in headers.items():
        if name == b"set-cookie":
            for cookie in value.split(b"\n"):
                yield name, cookie
        else:
            yield name, value


def members(value: bytes) -> list[bytes]:
    """The members of a comma-separated list (RFC 9110 §5.6.1); commas inside quoted strings do not separate."""
    if b'"' not in value:
        return [member for part in value.split(b",") if (member := part.strip(b" \t"))]
    out: list[bytes] = []
    start, quoted, position, end = 0, False, 0, len(value)
    while position < end:
        char = value[position]
        if char == 0x5C and quoted:
            position += 1
        elif char == 0x22:
            quoted = not quoted
        elif char == 0x2C and not quoted:
            out.append(value[start:position].strip(b" \t"))
            start = position + 1
        position += 1
    out.append(value[start:].strip(b" \t"))
    return [member for member in out if member]


def tokens(value: bytes | None) -> frozenset[bytes]:
    """The members of a list of tokens, in lower case."""
    return frozenset(members(value.lower())) if value else frozenset()


def without_hop_by_hop(headers: Headers) -> Headers:
    """A copy without the fields that are for one connection only (RFC 9110 §7.6.1)."""
    named = tokens(headers.get(b"connection"))
    return {name: value for name, value in headers.items() if name not in HOP_BY_HOP and name not in named}


def disown(headers: Headers, owned: frozenset[bytes]) -> None:
    """Remove what only we may say, also spelled with underscores: CGI and WSGI read both as one name."""
    for name in owned:
        headers.pop(name, None)
    if b"".join(headers).find(b"_") >= 0:
        for name in [name for name in headers if name.replace(b"_", b"-") in owned]:
            del headers[name]
