"""Variants of one resource: which request fields select among them, and their normalised values (RFC 9111 §4.1)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.http.headers import Headers, tokens
from edgeproxy.http.negotiate import normalize_encoding, normalize_weights

VARIANT_LIMIT: Final = 64  # stored variants of one resource

# Lists of weighted members, in which case and order mean nothing (RFC 9110 §12.5).
_WEIGHTED: Final = frozenset((b"accept", b"accept-charset", b"accept-language"))

Selector = Callable[[Headers], bytes]


def names(vary: bytes | None, *, cookies: bool = False) -> tuple[bytes, ...]:
    """The fields an answer varies by. ``cookies``: it sets some, so that it is not for those who bring their own."""
    return tuple(sorted(tokens(vary) | {b"cookie"} if cookies else tokens(vary)))


def selector(fields: tuple[bytes, ...]) -> Selector:
    """A function from a request's fields to the variant it selects; equal results mean matching variants."""
    if not fields:
        return _only
    if fields == (b"accept-encoding",):
        return _by_encoding

    def select(headers: Headers) -> bytes:
        return b"\n".join([_normal(name, headers) for name in fields])

    return select


def _only(headers: Headers) -> bytes:
    return b""


def _by_encoding(headers: Headers) -> bytes:
    return normalize_encoding(headers.get(b"accept-encoding"))


def _normal(name: bytes, headers: Headers) -> bytes:
    """A field's value without what means nothing: white space around the commas; absent is not the same as empty."""
    value = headers.get(name)
    if name == b"accept-encoding":
        return normalize_encoding(value)
    if value is None:
        return b"-"
    if name in _WEIGHTED:
        return b"=" + normalize_weights(value)
    return b"=" + b",".join([part.strip(b" \t") for part in value.split(b",")])
