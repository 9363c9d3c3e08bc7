"""Who may have what a dictionary has a part in (RFC 9842 §8, §9.3)."""

from __future__ import annotations

import pytest

from edgeproxy.compression.audience import is_for, is_public, is_secure, origin_of
from edgeproxy.compression.offers import Offer
from edgeproxy.compression.shelf import Dictionary
from edgeproxy.http.message import Response
from tests.support.stages import exchange


def dictionary(*destinations: str, readable: bool = False) -> Dictionary:
    return Dictionary(b"x" * 32, b"https://a.test", "/", Offer("/*", destinations), readable, 1.0)


@pytest.mark.parametrize(
    ("scheme", "authority", "secure"),
    [
        (b"https", b"a.test", True),
        (b"http", b"a.test", False),
        (b"http", b"localhost:8080", True),
        (b"http", b"app.localhost", True),
        (b"http", b"127.0.0.1:8080", True),
        (b"http", b"localhost.a.test", False),
    ],
)
def test_secure_contexts(scheme: bytes, authority: bytes, secure: bool) -> None:
    request = exchange(scheme=scheme, authority=authority).request
    assert is_secure(request) is secure
    assert origin_of(request) == scheme + b"://" + authority


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {b"cache-control": b"public, max-age=60"},
        {b"vary": b"Accept-Encoding, Origin"},
        {b"cache-control": b'x="private"'},
    ],
)
def test_answers_for_everybody(fields: dict[bytes, bytes]) -> None:
    assert is_public(exchange(headers={b"cookie": b"a=1"}), Response(200, fields))


@pytest.mark.parametrize(
    "fields",
    [
        {b"cache-control": b"max-age=60, Private"},
        {b"cache-control": b'private="x-name"'},
        {b"cache-control": b"no-store"},
        {b"cache-control": b"public, no-cache"},
        {b"set-cookie": b"a=1"},
        {b"vary": b"Accept-Encoding, Cookie"},
        {b"vary": b"authorization"},
        {b"vary": b"*"},
    ],
)
def test_answers_for_somebody(fields: dict[bytes, bytes]) -> None:
    assert not is_public(exchange(), Response(200, fields))


def test_answers_to_somebody() -> None:
    assert not is_public(exchange(headers={b"authorization": b"Basic eDp5"}), Response(200))
    claims, identity = exchange(), exchange()
    claims.claims, identity.identity = {"sub": "ann"}, "ann"
    assert not is_public(claims, Response(200))
    assert not is_public(identity, Response(200))


@pytest.mark.parametrize(
    ("destinations", "asked", "fits"),
    [
        ((), b"script", True),
        (("script",), b"script", True),
        (("script", "style"), b"style", True),
        (("script",), b"document", False),
        (("script",), None, True),  # a client that knows no destinations
        (("",), b"empty", True),
        (("script",), b"empty", False),
        ((), b"image", False),  # nothing to compress
        ((), b"video", False),
    ],
)
def test_destinations(destinations: tuple[str, ...], asked: bytes | None, fits: bool) -> None:
    headers = {} if asked is None else {b"sec-fetch-dest": asked}
    assert is_for(headers, dictionary(*destinations)) is fits


@pytest.mark.parametrize(
    ("site", "mode", "origin", "same", "cross"),
    [
        (None, None, None, True, True),
        (b"same-origin", b"no-cors", None, True, True),
        (b"none", b"navigate", None, True, True),
        (b"cross-site", None, None, True, True),
        (b"cross-site", b"navigate", None, True, True),
        (b"cross-site", b"no-cors", None, False, False),
        (b"same-site", b"no-cors", b"https://b.test", False, False),
        (b"cross-site", b"websocket", b"https://b.test", False, False),
        (b"cross-site", b"cors", None, False, False),
        (b"cross-site", b"cors", b"https://b.test", False, True),
    ],
)
def test_pages_of_other_origins_get_what_all_may_read(
    site: bytes | None, mode: bytes | None, origin: bytes | None, same: bool, cross: bool
) -> None:
    told = {b"sec-fetch-site": site, b"sec-fetch-mode": mode, b"origin": origin}
    headers = {name: value for name, value in told.items() if value is not None}
    assert is_for(headers, dictionary()) is same
    assert is_for(headers, dictionary(readable=True)) is cross
