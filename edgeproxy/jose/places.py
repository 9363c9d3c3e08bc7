"""Where in a request a token may stand: Authorization, other fields, cookies, query parameters (RFC 6750 §2)."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Final
from urllib.parse import unquote_to_bytes

from edgeproxy.http.cookies import cookie
from edgeproxy.http.headers import Headers, members
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.exchange import Exchange

TAG: Final = "query_token"
KINDS: Final[tuple[str, ...]] = ("bearer", "header", "cookie", "query")

Given = Mapping[bytes, bytes]
Finder = Callable[[Headers, bytes, Given], bytes | None]

_NOTHING: Final[Given] = {}


def _bearer(headers: Headers, name: bytes, given: Given) -> bytes | None:
    field = headers.get(b"authorization", b"")
    return field[7:].strip(b" ") if field[:7].lower() == b"bearer " else None  # RFC 9110 §11.1: schemes have no case


def _field(headers: Headers, name: bytes, given: Given) -> bytes | None:
    value = headers.get(name)
    return value[7:].strip(b" ") if value is not None and value[:7].lower() == b"bearer " else value


def _cookie(headers: Headers, name: bytes, given: Given) -> bytes | None:
    field = headers.get(b"cookie")
    return None if field is None else cookie(field, name)


def _parameter(headers: Headers, name: bytes, given: Given) -> bytes | None:
    return given.get(name)


_FINDERS: Final[dict[str, Finder]] = {"bearer": _bearer, "header": _field, "cookie": _cookie, "query": _parameter}


class Places:
    """Places to look in, in order: ``bearer``, ``header:x-token``, ``cookie:session``, ``query:access_token``."""

    def __init__(self, places: Iterable[str]) -> None:
        parts = [(kind, name.encode()) for kind, _, name in (place.partition(":") for place in places)]
        self._places: tuple[tuple[Finder, bytes], ...] = tuple((_FINDERS[kind], name) for kind, name in parts)
        self.parameters: frozenset[bytes] = frozenset(name for kind, name in parts if kind == "query")

    def find(self, x: Exchange) -> bytes | None:
        """The token. Those in the query are taken out of it, so that neither the cache's key, nor the origin, nor any
        log has them, and the exchange is tagged."""
        given = _NOTHING
        if self.parameters and x.request.query:
            given = _take_out(x.request, self.parameters)
            if given:
                x.tags += (TAG,)
        for finder, name in self._places:
            token = finder(x.request.headers, name, given)
            if token is not None:
                return token
        return None


def keep_private(x: Exchange, response: Response) -> None:
    """RFC 6750 §2.3: the answer to a token in the URL is not for shared caches further down."""
    if TAG in x.tags:
        told = members(response.get(b"cache-control", b"") or b"")
        kept = [one for one in told if one.partition(b"=")[0].lower() not in (b"public", b"private", b"s-maxage")]
        response.set(b"cache-control", b", ".join([b"private", *kept]))


def _take_out(request: Request, names: frozenset[bytes]) -> Given:
    """Take parameters out of the target; of one that is repeated the first value counts."""
    found: dict[bytes, bytes] = {}
    kept: list[bytes] = []
    for pair in request.query.split(b"&"):
        name, _, value = pair.partition(b"=")
        name = unquote_to_bytes(name.replace(b"+", b" "))
        if name in names:
            found.setdefault(name, unquote_to_bytes(value))
        else:
            kept.append(pair)
    if found:
        path = request.target.partition(b"?")[0]
        request.query = b"&".join(kept)
        request.target = path + b"?" + request.query if kept else path
    return found
