"""Targets of redirects, compiled so that nothing a client sends can change the host they lead to."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from typing import NamedTuple

from edgeproxy.http.message import Request
from edgeproxy.pipeline.template import Placeholder, parse_template, unknown

Match = re.Match[bytes] | None


class Source(NamedTuple):
    """What a target is rendered from: the rule's match, None for a rule without a pattern, and the request."""

    match: Match
    request: Request


_REQUEST: dict[str, Callable[[Source], bytes]] = {
    "host": lambda source: source.request.host,
    "path": lambda source: source.request.target.partition(b"?")[0],
    "scheme": lambda source: source.request.scheme,
}
# How a placeholder counts when a target is judged: a path begins with a slash, a group may be anything.
_SHAPE = {"host": "host", "path": "/\0", "scheme": "http"}
_FIXED_HOST = re.compile(r"https?://(?:[A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(?::\d{1,5})?(?:[/?#]|$)")
_UNFIT = re.compile(r"[\x00-\x20\x7f\\<>\"^`|]")

# What a URI may hold as it is (RFC 3986 §2); a percent sign only where it begins an escape.
_NOT_URI = re.compile(rb"%(?![0-9A-Fa-f]{2})|[^A-Za-z0-9._~:/?#\[\]@!$&'()*+,;=%-]")
# What a group may put into a path, and into a query. Of all escapes a path to be matched has only %2F.
_NOT_PATH = re.compile(rb"%(?!2F)|[^A-Za-z0-9._~:/@!$&'()*+,;=%-]")
_NOT_QUERY = re.compile(rb"%(?!2F)|[^A-Za-z0-9._~/%-]")


def compile_location(to: str, groups: Iterable[str]) -> Callable[[Source], bytes]:
    """A function that renders ``to``, a path or an http(s) URL, for Location.

    ``groups`` are the names that stand for groups of the rule's match. Raises ValueError if ``to`` is neither, has a
    placeholder nobody knows, or lets anything but ``{host}`` into the host.
    """
    known = {name: _group(name) for name in groups}
    parts: list[Callable[[Source], bytes]] = []
    shape = ""
    for piece in parse_template(to):
        if not isinstance(piece, Placeholder):
            if _UNFIT.search(piece):
                raise ValueError(f"{to!r} has a character that no URI may hold; write it percent-encoded")
            parts.append(_literal(piece.encode()))
            shape += piece
        elif piece in _REQUEST:
            parts.append(_REQUEST[piece])
            shape += _SHAPE[piece]
        elif piece in known:
            parts.append(_quoted(known[piece], _NOT_QUERY if "?" in shape else _NOT_PATH))
            shape += "\0"
        else:
            raise unknown(piece, (*_REQUEST, *known))
    if shape.startswith("/") and not shape.startswith("//"):
        return lambda source: b"/" + _rendered(parts, source).lstrip(b"/")  # "//stranger.example" names a host
    if _FIXED_HOST.match(shape):
        return lambda source: _rendered(parts, source)
    raise ValueError(f"{to!r} must be a path, or a URL whose host is written out or is {{host}}, and ends with a /")


def escape(location: bytes) -> bytes:
    """``location`` with all that no URI may hold percent-encoded; what is encoded already stays."""
    return _NOT_URI.sub(_encoded, location)


def with_query(location: bytes, query: bytes) -> bytes:
    """``location`` with the request's query before its fragment, behind a query of its own."""
    if not query:
        return location
    before, mark, fragment = location.partition(b"#")
    return before + (b"&" if b"?" in before else b"?") + query + mark + fragment


def _rendered(parts: list[Callable[[Source], bytes]], source: Source) -> bytes:
    return escape(b"".join([part(source) for part in parts]))


def _literal(text: bytes) -> Callable[[Source], bytes]:
    return lambda _: text


def _group(name: str) -> Callable[[Source], bytes]:
    index: int | str = int(name) if name.isdigit() else name

    def value(source: Source) -> bytes:
        return b"" if source.match is None else source.match[index] or b""

    return value


def _quoted(value: Callable[[Source], bytes], unsafe: re.Pattern[bytes]) -> Callable[[Source], bytes]:
    return lambda source: unsafe.sub(_encoded, value(source))


def _encoded(match: re.Match[bytes]) -> bytes:
    return b"%%%02X" % match[0][0]
