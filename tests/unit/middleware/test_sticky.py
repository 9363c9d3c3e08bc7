"""Which endpoint a client comes back to."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from middleware.sticky import Sticky
from tests.support.stages import exchange, stage

HERE = "127.0.0.1:8001"
SECRET = {"secret": "0123456789abcdef0123456789abcdef"}


def answered(sticky: Sticky, x: Exchange, endpoint: str = HERE, **fields: bytes) -> Response:
    """The answer of that endpoint, after the stage."""
    x.endpoint = endpoint
    response = Response(200, {name.replace("_", "-").encode(): value for name, value in fields.items()})
    sticky.response(x, response)
    return response


def cookie(response: Response) -> bytes:
    told = response.get(b"set-cookie")
    assert told is not None
    return told.partition(b";")[0]


def test_a_client_is_told_once_where_it_was_and_comes_back() -> None:
    sticky = stage(Sticky)
    first = exchange()
    sticky.request(first)
    assert first.wanted == b""
    told = answered(sticky, first)
    again = exchange(headers={b"cookie": b"a=1; %b; b=2" % cookie(told)})
    sticky.request(again)
    assert again.wanted == HERE.encode()
    assert answered(sticky, again).get(b"set-cookie") is None


def test_the_cookie_goes_no_further() -> None:
    sticky = stage(Sticky)
    own = cookie(answered(sticky, exchange()))
    with_others, alone = exchange(headers={b"cookie": b"a=1; %b; b=2" % own}), exchange(headers={b"cookie": own})
    for x in (with_others, alone):
        sticky.request(x)
    assert with_others.request.headers[b"cookie"] == b"a=1; b=2"
    assert b"cookie" not in alone.request.headers


def test_the_cookie_follows_where_another_endpoint_had_to_answer() -> None:
    sticky = stage(Sticky)
    x = exchange(headers={b"cookie": cookie(answered(sticky, exchange()))})
    sticky.request(x)
    moved = cookie(answered(sticky, x, "127.0.0.1:8002"))
    later = exchange(headers={b"cookie": moved})
    sticky.request(later)
    assert later.wanted == b"127.0.0.1:8002"


@pytest.mark.parametrize("value", [b"", b"127.0.0.1:8001", b"1.AAAA", b"1." + b"A" * 60, b"\xff" * 300])
def test_a_cookie_nobody_made_asks_for_nothing(value: bytes) -> None:
    sticky = stage(Sticky)
    x = exchange(headers={b"cookie": b"edge_endpoint=" + value})
    sticky.request(x)
    assert x.wanted == b""
    assert b"cookie" not in x.request.headers


def test_nodes_with_one_secret_bring_a_client_to_the_same_endpoint() -> None:
    told = cookie(answered(stage(Sticky, SECRET), exchange()))
    for settings, wanted in ((SECRET, HERE.encode()), ({}, b"")):
        x = exchange(headers={b"cookie": told})
        stage(Sticky, settings).request(x)
        assert x.wanted == wanted


@pytest.mark.parametrize(
    ("fields", "told"),
    [
        ({}, True),
        ({"cache_control": b"no-store"}, True),
        ({"cache_control": b"private, max-age=60"}, True),
        ({"cache_control": b"no-cache"}, True),
        ({"cache_control": b"max-age=60"}, False),
        ({"cache_control": b"public"}, False),
        ({"cache_control": b"s-maxage=5, no-cache"}, False),
        ({"cache_control": b'private="set-cookie", max-age=9'}, False),
        ({"cache_control": b"max-age=60, no-store"}, True),
        ({"expires": b"Thu, 01 Jan 2032 00:00:00 GMT"}, False),
        ({"last_modified": b"Thu, 01 Jan 2026 00:00:00 GMT"}, False),
    ],
)
def test_an_answer_that_others_may_get_has_no_cookie(fields: dict[str, bytes], told: bool) -> None:
    assert (answered(stage(Sticky), exchange(), **fields).get(b"set-cookie") is not None) is told


def test_an_answer_of_no_endpoint_has_no_cookie() -> None:
    assert answered(stage(Sticky), exchange(), "").get(b"set-cookie") is None


def test_a_cookie_beside_the_origins_own() -> None:
    told = answered(stage(Sticky), exchange(), set_cookie=b"session=1").headers()[b"set-cookie"]
    assert b"session=1" in told
    assert b"edge_endpoint=" in told


@pytest.mark.parametrize(
    ("settings", "scheme", "ending"),
    [
        ({}, b"http", b"; Path=/; HttpOnly; SameSite=Lax"),
        ({}, b"https", b"; Path=/; HttpOnly; SameSite=Lax; Secure"),
        ({"lifetime": "1h"}, b"https", b"; Max-Age=3600; Path=/; HttpOnly; SameSite=Lax; Secure"),
    ],
)
def test_a_cookie_is_for_this_site_and_no_script(settings: dict[str, str], scheme: bytes, ending: bytes) -> None:
    told = answered(stage(Sticky, settings), exchange(scheme=scheme)).get(b"set-cookie", b"")
    assert told is not None
    assert told.partition(b";")[1] + told.partition(b";")[2] == ending


def test_what_became_of_wishes_is_counted() -> None:
    sticky = stage(Sticky)
    told = cookie(answered(sticky, exchange()))
    for endpoint in (HERE, "127.0.0.1:8002"):
        x = exchange(headers={b"cookie": told})
        sticky.request(x)
        answered(sticky, x, endpoint)
    assert [sticky._counter.value(outcome) for outcome in ("new", "kept", "moved")] == [1, 1, 1]


@pytest.mark.parametrize("settings", [{"secret": "short"}, {"cookie": "a b"}, {"lifetime": "0s"}, {"lifetime": "2y"}])
def test_bad_settings_are_refused(settings: dict[str, str]) -> None:
    with pytest.raises(ValidationError):
        stage(Sticky, settings)


def test_the_secret_is_not_shown() -> None:
    assert SECRET["secret"] not in repr(stage(Sticky, SECRET).config)
