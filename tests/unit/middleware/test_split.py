"""Splits as configuration writes them."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from middleware.geo import Geo
from middleware.split import Split
from tests.support.stages import exchange, services, stage


def split(arms: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {"splits": {"test": {"arms": arms, **more}}}


def arm(settings: dict[str, Any], x: Exchange) -> str:
    stage(Split, settings).request(x)
    assert x.arms is not None
    return ",".join(x.arms.names)


def test_testers_are_in_their_arm_by_field_cookie_or_address_whatever_they_would_draw() -> None:
    arms: dict[str, Any] = {
        "old": {"share": "100%"},
        "both": {"when": {"header": {"x-beta": "1"}, "cookie": {"beta": "yes"}}},
        "field": {"when": {"header": {"X-Beta": True}}},
        "cookie": {"when": {"cookie": {"beta": "yes"}}},
        "office": {"when": {"client": "198.51.100.0/24"}},
    }
    for headers, client, found in (
        ({}, "192.0.2.1", "old"),
        ({b"x-beta": b"1", b"cookie": b"a=1; beta=yes"}, "192.0.2.1", "both"),
        ({b"x-beta": b"2", b"cookie": b"beta=yes"}, "192.0.2.1", "field"),
        ({b"cookie": b'beta="yes"'}, "192.0.2.1", "cookie"),
        ({b"cookie": b"beta=no"}, "192.0.2.1", "old"),
        ({}, "198.51.100.9", "office"),
    ):
        assert arm(split(arms), exchange(headers=headers, client=client)) == f"test={found}"


@pytest.mark.parametrize(
    ("key", "headers", "vary"),
    [
        ("cookie:visitor", {b"cookie": b"visitor=7"}, b"cookie"),
        ("header:X-User", {b"x-user": b"7"}, b"x-user"),
        ("client.ip+header:x-user", {b"x-user": b"7"}, b"x-user"),
    ],
)
def test_what_is_drawn_by_is_told_in_vary(key: str, headers: dict[bytes, bytes], vary: bytes) -> None:
    made = stage(Split, split({"a": {}, "b": {"share": 1}}, key=key))
    x = exchange(headers=headers)
    made.request(x)
    assert x.tags == ("test=b",)
    response = Response(200, {b"vary": b"accept-encoding"})
    made.response(x, response)
    assert response.get(b"vary") == b"accept-encoding, " + vary


def test_what_arms_look_at_is_told_in_vary_and_an_address_cannot_be() -> None:
    made = stage(Split, split({"a": {}, "b": {"when": {"header": {"x-b": "1"}, "cookie": {"b": "1"}}}}))
    x, response = exchange(), Response(200)
    made.request(x)
    made.response(x, response)
    assert response.get(b"vary") == b"x-b, cookie"
    plain = stage(Split, split({"a": {}, "b": {"share": 0.5}}))
    x, response = exchange(), Response(200)
    plain.request(x)
    plain.response(x, response)
    assert response.get(b"vary") is None


def test_a_random_draw_is_kept_in_a_cookie_for_as_long_as_it_says() -> None:
    made = stage(Split, split({"a": {}, "b": {"share": 0.5}}, key="random", max_age="1d"))
    x, response = exchange(), Response(200)
    made.request(x)
    made.response(x, response)
    line = response.get(b"set-cookie", b"") or b""
    assert line.startswith(b"split-test=")
    assert line.endswith(b"; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax")


def test_pools_are_named_for_the_check_and_arms_for_people() -> None:
    made = stage(Split, split({"a": {"pool": "one"}, "b": {"pool": "two"}, "c": {}}))
    assert list(made.takes_from()) == ["one", "two"]
    assert made.explain(exchange()) == "test=a"


def test_keys_by_place_need_the_geo_stage() -> None:
    made = stage(Split, split({"a": {}, "b": {}}, key="country+client.ip"))
    assert "geo" in made.misses({})
    assert not made.misses({"geo": object.__new__(Geo)})
    assert not stage(Split, split({"a": {}, "b": {}})).misses({})


def test_arms_are_counted_by_name_in_the_metrics() -> None:
    lent = services()
    made = stage(Split, split({"a": {}, "b": {"share": 1}}), lent)
    x = exchange()
    made.request(x)
    x.status, x.ended = 200, x.started + 0.25
    made.log(x)
    counted = {
        (family["name"], *labels): numbers for family in lent.metrics.dump() for labels, numbers in family["series"]
    }
    assert counted["edgeproxy_split_requests_total", "test", "b", "ok"] == [1]
    assert counted["edgeproxy_split_requests_total", "test", "a", "ok"] == [0]
    assert counted["edgeproxy_split_seconds", "test", "b"][-1] == 0.25


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({"splits": {}}, "at least 1"),
        (split({"a": {}}), "at least 2"),
        (split({"a": {}, "b": {"share": "60%"}, "c": {"share": "60%"}}), "add up to 120.000000%"),
        (split({"a": {"share": "50%"}, "b": {"share": "40%"}}), "leave the first one's out"),
        (split({"a": {}, "b": {"share": "101%"}}), "less than or equal to 1"),
        (split({"a": {}, "b": {"when": {}}}), "give header, cookie or client"),
        (split({"a": {}, "b": {"request": {"host": "x"}}}), "cannot be edited"),
        (split({"a": {}, "b": {}}, key="client.pi"), "did you mean client.ip"),
        (split({"a": {}, "b": {"when": {"cookie": {"a b": "1"}}}}), "pattern"),
        (
            {"splits": {name: {"arms": {"a": {"pool": "p"}, "b": {}}} for name in ("one", "two")}},
            "one and two both name pools",
        ),
        (
            {"splits": {name: {"arms": {f"arm{place}": {} for place in range(16)}} for name in ("x", "y", "z")}},
            "4096 combinations",
        ),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(settings: dict[str, Any], told: str) -> None:
    with pytest.raises(ValidationError, match=told):
        stage(Split, settings)
