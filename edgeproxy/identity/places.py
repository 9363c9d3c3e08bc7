"""Where a request carries its credential: a header field, an authentication scheme, a query parameter, a cookie."""

from __future__ import annotations

from typing import Final

from edgeproxy.http.cookies import cookie
from edgeproxy.http.message import Request
from edgeproxy.identity.parameters import Parameters, ask_for

_AUTHORIZATION: Final = b"authorization"
_COOKIE: Final = b"cookie"


class Place:
    """One of them. ``take`` gives the credential, None if there is none; with ``hide`` it is gone afterwards."""

    def take(self, request: Request, hide: bool) -> bytes | None:
        raise NotImplementedError


class HeaderPlace(Place):
    """A field whose whole value is the credential."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def take(self, request: Request, hide: bool) -> bytes | None:
        value = request.headers.get(self._name)
        if value is not None and hide:
            del request.headers[self._name]
        return value


class SchemePlace(Place):
    """Authorization with a scheme, in lower case (RFC 9110 §11.6.2)."""

    def __init__(self, scheme: bytes) -> None:
        self._start = scheme + b" "

    def take(self, request: Request, hide: bool) -> bytes | None:
        field = request.headers.get(_AUTHORIZATION)
        size = len(self._start)
        if field is None or field[:size].lower() != self._start:  # RFC 9110 §11.1: schemes are case-insensitive
            return None
        if hide:
            del request.headers[_AUTHORIZATION]
        return field[size:].strip(b" ")


class QueryPlace(Place):
    """A parameter of the query; the first of that name counts, and all of them go."""

    def __init__(self, name: str) -> None:
        self._parameters = Parameters((name,))

    def take(self, request: Request, hide: bool) -> bytes | None:
        found, rest = self._parameters.split(request.query)
        if not found:
            return None
        if hide:
            ask_for(request, rest)
        return found[0][1]


class CookiePlace(Place):
    """A cookie; the first of that name counts, and all of them go."""

    def __init__(self, name: bytes) -> None:
        self._name = name

    def take(self, request: Request, hide: bool) -> bytes | None:
        field = request.headers.get(_COOKIE)
        if field is None or field.find(self._name) < 0:
            return None
        value = cookie(field, self._name)
        if value is not None and hide:
            left = without_cookie(field, self._name)
            if left:
                request.headers[_COOKIE] = left
            else:
                del request.headers[_COOKIE]
        return value


def without_cookie(field: bytes, name: bytes) -> bytes:
    """A Cookie field without the cookies of that name, b"" if nothing is left."""
    pairs = [pair.strip(b" \t") for pair in field.split(b";")]
    return b"; ".join([pair for pair in pairs if pair and pair.partition(b"=")[0] != name])


def place(text: str) -> Place:
    """From ``header:NAME``, ``query:NAME``, ``cookie:NAME`` or ``authorization:SCHEME``. Raises ValueError."""
    kind, _, name = text.partition(":")
    if name:
        if kind == "header":
            return HeaderPlace(name.lower().encode())
        if kind == "authorization":
            return SchemePlace(name.lower().encode())
        if kind == "query":
            return QueryPlace(name)
        if kind == "cookie":
            return CookiePlace(name.encode())
    raise ValueError(
        f"{text!r} is no place for a key; known are header:NAME, authorization:SCHEME, query:NAME, cookie:NAME"
    )
