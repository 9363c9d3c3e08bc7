"""Rate limits per key."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.clock import ManualClock
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from middleware.rate_limit import RateLimit, compile_key
from tests.support.stages import exchange, services, stage


def statuses(limit: RateLimit, *exchanges: Exchange) -> list[int | None]:
    answers = [limit.request(x) for x in exchanges]
    return [None if answer is None else answer.status for answer in answers]


def test_what_is_over_the_burst_gets_429_until_time_has_passed() -> None:
    limit = stage(RateLimit, {"rate": "2/s", "burst": 3})
    assert statuses(limit, *[exchange() for _ in range(4)]) == [None, None, None, 429]
    later = 1_800_000_000.5
    assert statuses(limit, exchange(started=later), exchange(started=later)) == [None, 429]


def test_the_burst_is_one_periods_worth_if_not_given() -> None:
    assert statuses(stage(RateLimit, {"rate": "3/m"}), *[exchange() for _ in range(4)]) == [None, None, None, 429]
    assert statuses(stage(RateLimit, {"rate": "0.5/s"}), exchange(), exchange()) == [None, 429]


def test_a_refusal_says_when_to_come_back_and_what_the_limit_is() -> None:
    lent = services()
    limit = stage(RateLimit, {"rate": "6/m", "burst": 1}, lent)
    limit.request(exchange())
    answer = limit.request(exchange(started=1_800_000_000.5))
    assert answer is not None
    assert answer.status == 429
    assert answer.headers() == {
        b"content-type": b"text/plain; charset=utf-8",
        b"cache-control": b"no-store",
        b"retry-after": b"10",
        b"ratelimit-policy": b'"default";q=6;w=60',
        b"ratelimit": b'"default";r=0;t=10',
    }
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("rate_limit") == 1


def test_coming_back_after_retry_after_is_let_in() -> None:
    limit = stage(RateLimit, {"rate": "7/m", "burst": 1})
    limit.request(exchange())
    answer = limit.request(exchange())
    assert answer is not None
    wait = int(answer.get(b"retry-after") or b"0")
    assert statuses(limit, exchange(started=1_800_000_000.0 + wait)) == [None]


@pytest.mark.parametrize(("when", "told"), [("always", True), ("refused", False), ("never", False)])
def test_answers_bear_the_limit_if_asked_to(when: str, told: bool) -> None:
    clock = ManualClock()
    limit = stage(RateLimit, {"rate": "10/s", "burst": 20, "headers": when}, services(clock))
    for _ in range(4):
        x = exchange()
        assert limit.request(x) is None
    clock.advance(0.1)
    response = Response(200)
    if limit.uses("response"):
        limit.response(x, response)
    expected = {b"ratelimit-policy": b'"default";q=20;w=2', b"ratelimit": b'"default";r=17;t=1'}
    assert response.headers() == (expected if told else {})


def test_never_means_refusals_too_but_not_retry_after() -> None:
    limit = stage(RateLimit, {"rate": "1/s", "headers": "never"})
    limit.request(exchange())
    answer = limit.request(exchange())
    assert answer is not None
    assert answer.get(b"ratelimit") is None
    assert answer.get(b"retry-after") == b"1"


def test_an_answer_given_before_the_limit_was_asked_bears_none() -> None:
    limit, response = stage(RateLimit, {"headers": "always"}), Response(403)
    limit.response(exchange(), response)
    assert response.headers() == {}


KEYED = [
    ("client.ip", {"client": "192.0.2.7"}, b"192.0.2.7"),
    ("client.ip", {"client": "2001:db8::7"}, b"2001:db8::7"),
    ("client.net", {"client": "192.0.2.7"}, b"192.0.2.0/24"),
    ("client.net", {"client": "2001:db8:1:2:3::7"}, b"2001:db8:1:2::/64"),
    ("client.net", {"client": ""}, b""),
    ("host", {"authority": b"a.example:81"}, b"a.example"),
    ("path", {"target": b"/a?b"}, b"/a"),
    ("route", {}, b"site"),
    ("method", {"method": b"POST"}, b"POST"),
    ("header:X-Api-Key", {"headers": {b"x-api-key": b"k1"}}, b"k1"),
    ("header:x-api-key", {}, b""),
    ("cookie:session", {"headers": {b"cookie": b"xsession=no; session=s1"}}, b"s1"),
    ("cookie:session", {}, b""),
    ("claim:sub", {}, b""),
    ("client.ip + path", {"target": b"/a"}, b"192.0.2.7\0/a"),
]


@pytest.mark.parametrize(("expression", "given", "key"), KEYED)
def test_keys(expression: str, given: dict[str, Any], key: bytes) -> None:
    assert compile_key(expression, 24, 64)(exchange(**given)) == key


def test_a_key_of_a_verified_claim() -> None:
    x = exchange()
    x.claims = {"sub": "alice", "id": 7}
    assert compile_key("claim:sub+claim:id", 32, 64)(x) == b"alice\x007"


def test_long_keys_are_kept_as_short_hashes_that_still_differ() -> None:
    key = compile_key("header:x-api-key", 32, 64)
    one, other = (key(exchange(headers={b"x-api-key": b"k" * 8000 + end})) for end in (b"1", b"2"))
    assert one != other
    assert len(one) == len(other) == 16


def test_by_default_addresses_of_one_ipv6_customer_count_together_and_ipv4_addresses_apart() -> None:
    limit = stage(RateLimit, {"rate": "1/s"})
    assert statuses(limit, exchange(client="2001:db8::1"), exchange(client="2001:db8::2")) == [None, 429]
    assert statuses(limit, exchange(client="192.0.2.1"), exchange(client="192.0.2.2")) == [None, None]


def test_a_flood_of_keys_stays_within_the_bound_and_shows_in_the_metric() -> None:
    lent = services()
    limit = stage(RateLimit, {"rate": "1/h", "keys": 100, "key": "header:k"}, lent)
    for number in range(10_000):
        assert limit.request(exchange(headers={b"k": b"%d" % number})) is None
    family = next(family for family in lent.metrics.dump() if family["name"] == "edgeproxy_rate_limit_keys")
    assert 50 <= family["series"][0][1][0] <= 100


@pytest.mark.parametrize(
    "settings",
    [
        {"key": "client"},
        {"key": ""},
        {"key": "client.ip+"},
        {"key": "header:"},
        {"key": "header:a b"},
        {"rate": "0/s"},
        {"burst": 0},
        {"keys": 1},
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(RateLimit, settings)
