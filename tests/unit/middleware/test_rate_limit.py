"""Rate limits per key."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.clock import ManualClock
from edgeproxy.config.compile import stage_key
from edgeproxy.config.units import RateValue
from edgeproxy.http.message import Response
from edgeproxy.limits.gate import Gates, Limit
from edgeproxy.limits.gcra import Limiter
from edgeproxy.limits.prices import Prices
from edgeproxy.limits.whom import Whom
from edgeproxy.pipeline.exchange import Exchange
from middleware.rate_limit import RateLimit
from tests.support.stages import Client, exchange, route, services, stage


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


# Several limits.


TWO = [{"name": "fast", "rate": "3/s"}, {"name": "long", "rate": "5/m", "key": "client.net+path"}]


def several(*limits: dict[str, Any], **settings: Any) -> RateLimit:
    return stage(RateLimit, {"limits": list(limits), **settings})


def test_what_is_said_beside_the_list_is_a_limit_too_as_where_a_route_adds_some() -> None:
    one = {"name": "a", "rate": "1/h"}
    for settings, policy in (
        ({"rate": "1/h"}, b'"default";q=1;w=3600'),
        ({"rate": "1/h", "limits": [one]}, b'"default";q=1;w=3600, "a";q=1;w=3600'),
        ({"limits": [one]}, b'"a";q=1;w=3600'),
    ):
        limit = stage(RateLimit, settings)
        limit.request(exchange())
        answer = limit.request(exchange())
        assert answer is not None
        assert answer.get(b"ratelimit-policy") == policy


def test_settings_with_and_without_a_limit_beside_the_list_are_not_the_same_stage() -> None:
    given = ({"limits": TWO}, {"limits": TWO, "rate": "100/s"})
    one, other = (stage_key("rate_limit", RateLimit.Config.model_validate(settings)) for settings in given)
    assert one != other


def test_the_limit_that_refuses_is_named() -> None:
    limit = several({"name": "one", "rate": "2/s"}, {"name": "other", "rate": "6/m", "burst": 1, "key": "path"})
    assert limit.request(exchange(b"/a")) is None
    answer = limit.request(exchange(b"/a"))
    assert answer is not None
    assert answer.get(b"ratelimit") == b'"other";r=0;t=10'
    assert answer.get(b"ratelimit-policy") == b'"one";q=2;w=1, "other";q=6;w=60'
    assert answer.get(b"retry-after") == b"10"
    assert limit.services.metrics.counter("edgeproxy_rate_limit_refused_total", "", ("limit",)).value("other") == 1


def test_what_one_limit_refuses_no_other_counts_wherever_it_stands() -> None:
    tight, loose = {"name": "tight", "rate": "1/h", "key": "path"}, {"name": "loose", "rate": "3/h"}
    for limits in ([tight, loose], [loose, tight]):
        limit = several(*limits)
        asked = [exchange(b"/a"), exchange(b"/a"), exchange(b"/a"), exchange(b"/b"), exchange(b"/c"), exchange(b"/d")]
        assert statuses(limit, *asked) == [None, 429, 429, None, None, 429]


def test_the_longest_wait_of_those_that_refuse_is_told() -> None:
    long, short = {"name": "long", "rate": "1/h"}, {"name": "short", "rate": "1/m"}
    for limit in (several(long, short), several(short, long)):
        limit.request(exchange())
        answer = limit.request(exchange())
        assert answer is not None
        assert answer.get(b"ratelimit") == b'"long";r=0;t=3600'


EVERYONE = Whom(treated=False, alarm=0, exempt=())


class Rival:
    """A counter that somebody else takes from, right after it was asked."""

    def __init__(self, interval: float, burst: float, keys: int) -> None:
        self._limiter = Limiter(interval, burst, keys)
        self.take, self.charge, self.available = self._limiter.take, self._limiter.charge, self._limiter.available
        self.start, self.stop = self._limiter.start, self._limiter.stop

    def wait(self, key: bytes, now: float, cost: float = 1.0) -> float:
        told = self._limiter.wait(key, now, cost)
        self._limiter.take(key, now, cost)
        return told

    def __len__(self) -> int:
        return len(self._limiter)


def test_where_another_process_is_faster_in_between_the_later_limit_still_refuses() -> None:
    limits = [
        Limit(name, counter, lambda _: b"k", EVERYONE, Prices({"default": 1}), size=False, public=True)
        for name, counter in (("one", Limiter(1.0, 5, 100)), ("shared", Rival(10.0, 1, 100)))
    ]
    answers: list[tuple[int, float]] = []

    def refuse(index: int, wait: float) -> Response:
        answers.append((index, wait))
        return Response(429)

    x = exchange()
    assert Gates(limits, refuse, ManualClock().monotonic).enter(x) is not None
    assert answers == [(1, pytest.approx(10.0))]
    assert x.counted == ()


def test_all_limits_that_counted_are_told_of_in_the_answer() -> None:
    clock = ManualClock()
    settings = {"limits": TWO, "headers": "always"}
    limit, x, response = stage(RateLimit, settings, services(clock)), exchange(), Response(200)
    limit.request(x)
    limit.response(x, response)
    assert response.headers() == {
        b"ratelimit-policy": b'"fast";q=3;w=1, "long";q=5;w=60',
        b"ratelimit": b'"fast";r=2;t=1, "long";r=4;t=12',
    }
    refused = Response(429)
    limit.response(exchange(), refused)
    assert refused.headers() == {}


# Algorithms and costs.


def test_a_window_counts_what_comes_in_any_period() -> None:
    limit = stage(RateLimit, {"rate": "3/m", "algorithm": "window"})
    assert statuses(limit, *[exchange(started=1_800_000_000.0 + gap) for gap in (0, 20, 40, 59)]) == [None] * 3 + [429]
    answer = limit.request(exchange(started=1_800_000_059.0))
    assert answer is not None
    assert answer.get(b"ratelimit-policy") == b'"default";q=3;w=60'
    wait = int(answer.get(b"retry-after") or b"0")
    assert 1 < wait <= 9  # the first is a minute ago by then, and so is the slice it was counted in
    assert statuses(limit, exchange(started=1_800_000_059.0 + wait)) == [None]


def test_requests_cost_what_the_table_says() -> None:
    limit = stage(RateLimit, {"rate": "10/h", "cost": {"POST": 5, "/free": 0, "default": 1}})
    post, get, free = exchange(method=b"POST"), exchange(), exchange(b"/free/1")
    assert statuses(limit, post, get, get, get, get, post, get, get) == [None] * 5 + [429, None, 429]
    assert statuses(limit, free, free) == [None, None]
    assert free.counted == ()


def test_one_cost_is_for_every_request() -> None:
    limit = stage(RateLimit, {"rate": "10/h", "cost": 5})
    assert statuses(limit, exchange(), exchange(), exchange()) == [None, None, 429]


def answered(limit: RateLimit, status: int = 200, sent: int = 0, started: float = 1_800_000_000.0) -> int:
    """The status of an exchange that gets this answer, unless it is refused, and is logged."""
    x = exchange(started=started)
    refusal = limit.request(x)
    x.status, x.sent, x.ended = (status, sent, started) if refusal is None else (refusal.status, 50, started)
    limit.log(x)
    limit.log(x)  # charges nothing more
    return x.status


def test_what_an_answer_costs_is_charged_when_it_is_out() -> None:
    limit = stage(RateLimit, {"rate": "5/h", "cost": {"default": 1, "404": 2}})
    assert [answered(limit, status) for status in (404, 200, 404, 404)] == [404, 200, 404, 429]


def test_only_failures_are_counted_if_only_they_cost_and_whoever_has_too_many_is_refused() -> None:
    limit = stage(RateLimit, {"rate": "3/h", "cost": {"default": 0, "401": 1}})
    assert limit.uses("log")
    assert [answered(limit, status) for status in (200, 401, 200, 401, 200, 401)] == [200, 401, 200, 401, 200, 401]
    assert [answered(limit, status) for status in (200, 401)] == [429, 429]


def test_bytes_are_charged_when_they_are_sent_and_waited_off() -> None:
    limit = stage(RateLimit, {"rate": "1KB/s", "burst": "10KB", "count": "bytes"})
    assert [answered(limit, sent=9_999), answered(limit, sent=14_900)] == [200, 200]
    refused = limit.request(exchange())
    assert refused is not None
    assert refused.get(b"retry-after") == b"15"
    assert refused.get(b"ratelimit-policy") == b'"default";q=10000;qu="content-bytes";w=10'
    assert answered(limit, started=1_800_000_014.0) == 429
    assert answered(limit, started=1_800_000_015.0) == 200


def test_bytes_are_charged_at_the_time_the_answer_ended_however_long_it_took() -> None:
    clock = ManualClock()
    limit = stage(RateLimit, {"rate": "1KB/s", "count": "bytes"}, services(clock))
    x = exchange()
    assert limit.request(x) is None
    clock.advance(3600)
    x.sent = 11_000  # and the client left, so nobody said when it ended
    limit.log(x)
    assert statuses(limit, exchange(started=clock.monotonic() + 9)) == [429]
    assert statuses(limit, exchange(started=clock.monotonic() + 11)) == [None]


def test_only_a_limit_that_needs_the_answer_has_a_log_hook() -> None:
    assert not stage(RateLimit).uses("log")
    assert not several(*TWO).uses("log")
    assert several(*TWO, {"name": "bytes", "rate": "1MB/s", "count": "bytes"}).uses("log")


def test_an_exchange_another_stage_answered_is_charged_nothing() -> None:
    limit = stage(RateLimit, {"rate": "1KB/s", "count": "bytes"})
    x = exchange()
    x.sent = 1_000_000
    limit.log(x)
    assert answered(limit) == 200


# Whom it is about.


def test_the_treated_have_a_limit_of_their_own_that_others_are_not_told_of() -> None:
    slow = {"name": "slow", "rate": "1/h", "applies_to": "treated"}
    limit = stage(RateLimit, {"limits": [{"name": "all", "rate": "3/h"}, slow]}, services(ManualClock()))
    x = exchange()
    assert statuses(limit, x) == [None]
    treated = exchange()
    treated.treatment = "limit"
    assert limit.request(treated) is None
    response = Response(200)
    limit.response(treated, response)
    assert response.get(b"ratelimit") == b'"all";r=1;t=2400'
    refusal = limit.request(treated)
    assert refusal is not None
    assert refusal.get(b"ratelimit") == b'"slow";r=0;t=3600'
    assert refusal.get(b"ratelimit-policy") == b'"all";q=3;w=3600, "slow";q=1;w=3600'
    limit.request(exchange())
    refusal = limit.request(exchange())
    assert refusal is not None
    assert refusal.get(b"ratelimit-policy") == b'"all";q=3;w=3600'


@pytest.mark.parametrize(("applies_to", "refused_at"), [("alarm", 1), ("attack", 2)])
def test_an_alarm_makes_a_limit_count(applies_to: str, refused_at: int) -> None:
    limit = stage(RateLimit, {"rate": "1/h", "applies_to": applies_to})
    for alarm in (0, 0, 1, 1, 2, 2):
        x = exchange()
        x.alarm = alarm
        answer = limit.request(x)
        assert answer is None or alarm >= refused_at
    assert answer is not None


def test_the_exempt_are_not_counted() -> None:
    limit = stage(RateLimit, {"rate": "1/h", "key": "path", "exempt": ["198.51.100.0/24", "identity:partner"]})
    partner = exchange()
    partner.identity = "partner"
    assert statuses(limit, partner, partner, exchange(client="198.51.100.1")) == [None, None, None]
    assert statuses(limit, exchange(), exchange()) == [None, 429]


def test_observing_counts_what_would_have_been_refused_and_lets_it_go_on() -> None:
    lent = services()
    limit = stage(RateLimit, {"rate": "1/h", "mode": "observe"}, lent)
    client = Client()
    for _ in range(3):
        x = exchange()
        x.route = route([limit])
        assert [hook(x) for hook, _ in x.route.chain.inline] == [None]
    assert client.response is None
    assert lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("rate_limit") == 2


async def test_what_counts_in_the_background_begins_and_ends_with_the_stage() -> None:
    limit = stage(RateLimit, {"limits": TWO})
    await limit.start()
    await limit.stop()
    assert statuses(limit, exchange()) == [None]


def test_a_refusal_has_the_status_that_was_asked_for() -> None:
    limit = stage(RateLimit, {"rate": "1/h", "status": 503})
    limit.request(exchange())
    answer = limit.request(exchange())
    assert answer is not None
    assert (answer.status, answer.body[:4]) == (503, b"503 ")


BAD = [
    ({"key": "client"}, "did you mean client.ip"),
    ({"key": "client.ip+"}, "known are"),
    ({"rate": "0/s"}, "is not a rate"),
    ({"rate": "10MB"}, "is not a rate"),
    ({"burst": 0}, "greater than or equal to 1"),
    ({"keys": 1}, "greater than or equal to 100"),
    ({"status": 200}, "greater than or equal to 400"),
    ({"cost": {"POST": 200}}, "costs more than the 100"),
    ({"cost": {"PO ST": 2}}, "is nothing that costs"),
    ({"cost": -1}, "greater than or equal to 0"),
    ({"cost": {f"/{number}": 1 for number in range(65)}}, "at most 64"),
    ({"cost": 2, "count": "bytes"}, "leave cost out"),
    ({"algorithm": "window", "burst": 5}, "a window has no burst"),
    ({"algorithm": "window", "rate": "0.5/s"}, "lets nothing through"),
    ({"algorithm": "window", "scope": "node"}, "use algorithm: gcra"),
    ({"exempt": "partner"}, "no identity:NAME"),
    ({"limits": [{"name": "default"}]}, "is called default"),
    ({"limits": [TWO[0], TWO[0]]}, "a name of its own"),
    ({"limits": [{"rate": "1/s"}]}, "name"),
    ({"limits": [{"name": "a b"}]}, "name"),
]


@pytest.mark.parametrize(("settings", "said"), BAD)
def test_bad_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        stage(RateLimit, settings)


def test_settings_go_through_the_written_form_and_back() -> None:
    given = {
        "limits": [
            {"name": "bytes", "rate": "10MB/s", "burst": "50MB", "count": "bytes"},
            {"name": "costs", "cost": {"post /a": 5, "404": 2}, "exempt": ["10.0.0.0/8", "agent:examplebot"]},
        ]
    }
    config = RateLimit.Config.model_validate(given)
    assert config.limits[0].rate == RateValue(10_000_000, 1)
    assert config.limits[1].cost == {"POST /a": 5, "404": 2}
    written = config.model_dump(mode="json", include=given.keys())
    assert RateLimit.Config.model_validate(written) == config
