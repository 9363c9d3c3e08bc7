"""Concurrency limits per key."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from edgeproxy.http.message import Response
from edgeproxy.pipeline.aside import is_missing
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware
from edgeproxy.pipeline.runner import serve
from middleware.access_rules import AccessRules
from middleware.concurrency_limit import ConcurrencyLimit
from tests.support.stages import Client, exchange, route, services, stage


def limit_of(most: int = 2, **settings: Any) -> ConcurrencyLimit:
    return stage(ConcurrencyLimit, {"most": most, **settings})


def enter(limit: ConcurrencyLimit, x: Exchange | None = None) -> Exchange | None:
    """The exchange if it has a place now, else None."""
    x = x or exchange()
    return x if limit.request(x) is None else None


def keys(limit: ConcurrencyLimit) -> float:
    dump = limit.services.metrics.dump()
    return next(one for one in dump if one["name"] == "edgeproxy_concurrency_limit_keys")["series"][0][1][0]


def test_so_many_are_under_way_at_once_and_one_more_when_one_has_ended() -> None:
    limit = limit_of(2)
    first, second = enter(limit), enter(limit)
    assert first
    assert second
    assert enter(limit) is None
    limit.log(first)
    assert enter(limit)
    assert enter(limit) is None


def test_a_refusal_says_what_the_limit_is_and_when_to_try_again() -> None:
    limit = limit_of(1, retry_after="2s")
    enter(limit)
    answer = limit.request(exchange())
    assert isinstance(answer, Response)
    assert (answer.status, answer.body) == (429, b"429 Too many requests under way; try again in 2 s.\n")
    assert answer.headers() == {
        b"content-type": b"text/plain; charset=utf-8",
        b"cache-control": b"no-store",
        b"retry-after": b"2",
        b"ratelimit-policy": b'"default";q=1;qu="concurrent-requests"',
        b"ratelimit": b'"default";r=0',
    }
    assert limit.services.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("concurrency_limit") == 1


def test_each_key_has_places_of_its_own_and_is_forgotten_with_its_last_one() -> None:
    limit = limit_of(1)
    held = [enter(limit, exchange(client=f"192.0.2.{number}")) for number in range(100)]
    assert None not in held
    assert keys(limit) == 100
    for x in held:
        assert x is not None
        limit.log(x)
    assert keys(limit) == 0


def test_the_log_hook_gives_back_what_was_taken_once_and_nothing_else() -> None:
    limit = limit_of(2)
    first, second = enter(limit), enter(limit)
    refused, elsewhere = exchange(), exchange()
    assert limit.request(refused) is not None
    limit.log(refused)
    limit.log(elsewhere)  # a stage above answered it
    assert enter(limit) is None
    assert first
    limit.log(first)
    limit.log(first)
    assert second
    assert enter(limit)
    assert enter(limit) is None


def test_a_place_in_all_limits_or_in_none() -> None:
    limits = [{"name": "all", "most": 3, "key": "route"}, {"name": "each", "most": 1}]
    limit = stage(ConcurrencyLimit, {"limits": limits})
    one = enter(limit)
    for _ in range(5):
        answer = limit.request(exchange())
        assert isinstance(answer, Response)
        assert answer.get(b"ratelimit") == b'"each";r=0'
    others = [enter(limit, exchange(client=f"192.0.2.{number}")) for number in (8, 9)]
    assert None not in others
    answer = limit.request(exchange(client="192.0.2.10"))
    assert isinstance(answer, Response)
    assert answer.get(b"ratelimit") == b'"all";r=0'
    assert one
    limit.log(one)
    assert enter(limit, exchange(client="192.0.2.10"))


def test_what_is_said_beside_the_list_is_a_limit_too() -> None:
    limit = stage(ConcurrencyLimit, {"limits": [{"name": "a", "most": 9, "key": "path"}], "most": 1})
    assert enter(limit, exchange(b"/a"))
    answer = limit.request(exchange(b"/b"))
    assert isinstance(answer, Response)
    assert answer.get(b"ratelimit") == b'"default";r=0'


def test_whom_it_is_not_about_holds_no_place() -> None:
    limit = limit_of(1, exempt="identity:partner", applies_to="treated")
    for _ in range(3):
        assert enter(limit)
    treated, partner = exchange(), exchange()
    treated.treatment = partner.treatment = "limit"
    partner.identity = "partner"
    assert enter(limit, treated)
    assert enter(limit, partner)
    again = exchange()
    again.treatment = "limit"
    assert enter(limit, again) is None


class Scripted(Middleware):
    """Behind the limit: answers, fails or waits, as told."""

    name = "scripted"
    act: str = "answer"
    waiting: asyncio.Event

    async def request(self, x: Exchange) -> Response | None:
        if self.act == "fail":
            raise ZeroDivisionError
        if self.act == "wait":
            await asyncio.Event().wait()
        return Response(403)


@pytest.mark.parametrize("act", ["answer", "fail"])
async def test_the_place_is_free_again_however_a_later_stage_ends_it(act: str) -> None:
    limit, later = limit_of(1), stage(Scripted)
    later.act = act
    for _ in range(3):
        x, client = exchange(), Client()
        x.route = route([limit, later])
        serve(x, client)
        assert (await client.done()).status == (403 if act == "answer" else 500)
    assert keys(limit) == 0


async def test_the_place_is_free_again_when_the_client_leaves_while_a_stage_waits() -> None:
    limit, later = limit_of(1), stage(Scripted)
    later.act = "wait"
    ended: list[str] = []
    x, client = exchange(), Client()
    x.route = route([limit, later], log=[lambda x: ended.append(x.error)])
    serve(x, client)
    await asyncio.sleep(0)
    assert enter(limit) is None
    assert client.task is not None
    client.task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await client.task
    assert ended == ["client_gone"]
    assert keys(limit) == 0


def test_what_a_stage_above_refuses_takes_no_place() -> None:
    limit, above = limit_of(1), stage(AccessRules, {"default": "deny"})
    for _ in range(3):
        x, client = exchange(), Client()
        x.route = route([above, limit])
        serve(x, client)
        assert client.status == 403
    assert keys(limit) == 0


async def test_a_sub_exchange_nobody_hears_the_end_of_takes_no_place() -> None:
    limit = limit_of(1)
    for _ in range(3):
        x = exchange()
        x.route = route([limit])
        await is_missing(x)
    assert keys(limit) == 0


def test_observing_refuses_nobody_and_holds_no_place_for_those_it_would_have() -> None:
    lent = services()
    limit = stage(ConcurrencyLimit, {"most": 1, "mode": "observe"}, lent)
    chain = route([limit]).chain
    first, second = exchange(), exchange()
    for x in (first, second):
        assert [hook(x) for hook, _ in chain.inline] == [None]
    assert (len(first.held), len(second.held)) == (1, 0)
    for x in (second, first):
        for hook in chain.log:
            hook(x)
    assert keys(limit) == 0


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 3)), max_size=60), st.integers(1, 3))
def test_no_key_ever_has_more_under_way_and_all_places_come_back(asked: list[tuple[int, int]], most: int) -> None:
    limit = limit_of(most)
    under_way: list[Exchange] = []
    for choice, client in asked:
        if choice > 2 and under_way:
            limit.log(under_way.pop(choice % len(under_way)))
            continue
        x = exchange(client=f"192.0.2.{client}")
        held = sum(other.client == x.client for other in under_way)
        assert (enter(limit, x) is None) == (held == most)
        if held < most:
            under_way.append(x)
    for x in under_way:
        limit.log(x)
    assert keys(limit) == 0


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"most": 0}, "greater than or equal to 1"),
        ({"key": "cleint.ip"}, "did you mean client.ip"),
        ({"status": 302}, "greater than or equal to 400"),
        ({"limits": [{"name": "default"}]}, "is called default"),
        ({"limits": [{"name": "a"}, {"name": "a"}]}, "a name of its own"),
        ({"rate": "1/s"}, "Extra inputs"),
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        stage(ConcurrencyLimit, settings)
