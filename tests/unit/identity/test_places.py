"""Where credentials are found, and that they are gone afterwards."""

from __future__ import annotations

import pytest

from edgeproxy.http.headers import Headers
from edgeproxy.identity.places import place
from tests.support.stages import exchange

FOUND = [
    ("header:X-Api-Key", {b"x-api-key": b"k", b"a": b"b"}, b"/", b"k", {b"a": b"b"}, b"/"),
    ("header:x-api-key", {}, b"/", None, {}, b"/"),
    ("authorization:bearer", {b"authorization": b"Bearer k"}, b"/", b"k", {}, b"/"),
    ("authorization:ApiKey", {b"authorization": b"APIKEY  k "}, b"/", b"k", {}, b"/"),
    ("authorization:bearer", {b"authorization": b"Basic k"}, b"/", None, {b"authorization": b"Basic k"}, b"/"),
    ("authorization:bearer", {b"authorization": b"Bearer"}, b"/", None, {b"authorization": b"Bearer"}, b"/"),
    ("query:key", {}, b"/a?key=k&b=1", b"k", {}, b"/a?b=1"),
    ("query:key", {}, b"/a?b=1", None, {}, b"/a?b=1"),
    ("cookie:key", {b"cookie": b"a=1; key=k; b=2"}, b"/", b"k", {b"cookie": b"a=1; b=2"}, b"/"),
    ("cookie:key", {b"cookie": b"key=k; key=l"}, b"/", b"k", {}, b"/"),
    ("cookie:key", {b"cookie": b"monkey=k"}, b"/", None, {b"cookie": b"monkey=k"}, b"/"),
]


@pytest.mark.parametrize(("where", "headers", "target", "found", "left", "asks"), FOUND)
def test_what_is_found_and_what_is_left(
    where: str, headers: Headers, target: bytes, found: bytes | None, left: Headers, asks: bytes
) -> None:
    request = exchange(target, headers).request
    assert place(where).take(request, hide=True) == found
    assert (request.headers, request.target) == (left, asks)


@pytest.mark.parametrize(("where", "headers", "target", "found", "left", "asks"), FOUND)
def test_without_hiding_nothing_is_taken_away(
    where: str, headers: Headers, target: bytes, found: bytes | None, left: Headers, asks: bytes
) -> None:
    request = exchange(target, headers).request
    assert place(where).take(request, hide=False) == found
    assert (request.headers, request.target) == (headers, target)


@pytest.mark.parametrize("where", ["", "header", "header:", "body:key", "bearer"])
def test_what_is_no_place(where: str) -> None:
    with pytest.raises(ValueError, match="is no place for a key"):
        place(where)
