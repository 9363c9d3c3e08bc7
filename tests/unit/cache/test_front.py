"""The cache's front: answered at once, or why not. What becomes of a miss: test_lookup.py."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from edgeproxy.cache import policy
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.front import Front
from edgeproxy.cache.lookup import Lookup
from edgeproxy.cache.parts import Parts
from edgeproxy.cache.rules import Rules
from edgeproxy.clock import ManualClock
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from tests.support.stages import exchange, services

Make = Callable[..., Entry]


class Cache:
    """A front over a memory that a test fills."""

    def __init__(self, *stored: Entry, honour: bool = True) -> None:
        self.clock = ManualClock()
        lent = services(self.clock)
        self.tiers = lent.cache
        for one in stored:
            self.tiers.memory.put(one)
        rules = Rules(self.tiers, self.clock, policy.Heuristic(), 10**6, 0.0)
        self.front = Front(rules, self._refused, self._refused, honour=honour)

    async def _refused(self, *_: Any) -> Any:
        raise AssertionError("the front itself fetches nothing")

    def ask(self, x: Exchange) -> Response | None:
        return self.front.look_up(x)


def outcome(x: Exchange) -> tuple[bytes, str]:
    return x.verdict, type(x.lookup).__name__


def test_a_fresh_answer_is_given_and_counted(entry: Make) -> None:
    stored = entry()
    cache, x = Cache(stored), exchange()
    answer = cache.ask(x)
    assert answer is not None
    assert (answer.body, answer.get(b"cache-status"), x.verdict) == (b"0123456789", b"edgeproxy; hit", b"hit")
    assert (stored.hits, x.lookup) == (1, None)


def test_head_is_answered_from_what_get_stored(entry: Make) -> None:
    assert Cache(entry()).ask(exchange(method=b"HEAD")) is not None


@pytest.mark.parametrize(
    ("x", "stored", "reason"),
    [
        (exchange(b"/other"), {}, b"uri-miss"),
        (exchange(authority=b"other.example"), {}, b"uri-miss"),
        (exchange(headers={b"accept": b"b"}), {"vary": (b"accept",), "variant": b"=a"}, b"vary-miss"),
        (exchange(), {"lifetime": 0.0}, b"stale"),
        (exchange(), {"validate": True}, b"stale"),
        (exchange(headers={b"cache-control": b"no-cache"}), {}, b"request"),
        (exchange(headers={b"cache-control": b"max-age=0"}), {"initial_age": 1.0}, b"request"),
        (exchange(headers={b"pragma": b"no-cache"}), {}, b"request"),
    ],
)
def test_a_miss_says_why(entry: Make, x: Exchange, stored: dict[str, Any], reason: bytes) -> None:
    x = x.fork(x.request)
    assert Cache(entry(**stored)).ask(x) is None
    assert isinstance(x.lookup, Lookup)
    assert x.lookup._reason == reason


def test_a_clients_directives_may_be_ignored(entry: Make) -> None:
    cache = Cache(entry(), honour=False)
    for fields in ({b"cache-control": b"no-cache"}, {b"pragma": b"no-cache"}, {b"cache-control": b"only-if-cached"}):
        assert cache.ask(exchange(headers=fields)) is not None
    assert cache.ask(exchange(b"/other", {b"cache-control": b"only-if-cached"})) is None


def test_only_if_cached_is_answered_from_memory_or_not_at_all(entry: Make) -> None:
    cache, fields = Cache(entry()), {b"cache-control": b"only-if-cached"}
    assert cache.ask(exchange(headers=fields)) is not None
    with pytest.raises(EdgeError) as raised:
        cache.ask(exchange(b"/other", fields))
    assert raised.value.kind is Kind.NOT_CACHED


@pytest.mark.parametrize("method", [b"POST", b"PUT", b"DELETE", b"PATCH", b"QUERY"])
def test_a_method_that_changes_things_is_passed_on_and_invalidates(entry: Make, method: bytes) -> None:
    x = exchange(method=method)
    assert Cache(entry()).ask(x) is None
    assert outcome(x) == (b"fwd=method", "Invalidation")


def test_a_grpc_call_invalidates_nothing(entry: Make) -> None:
    x = exchange(headers={b"content-type": b"application/grpc+proto"}, method=b"POST")
    assert Cache(entry()).ask(x) is None
    assert outcome(x) == (b"fwd=method", "NoneType")


def test_a_safe_method_is_passed_on_alone(entry: Make) -> None:
    x = exchange(method=b"OPTIONS")
    assert Cache(entry()).ask(x) is None
    assert outcome(x) == (b"fwd=method", "NoneType")


@pytest.mark.parametrize("field", [b"if-match", b"if-unmodified-since"])
def test_preconditions_are_the_origins_to_evaluate(entry: Make, field: bytes) -> None:
    x = exchange(headers={field: b'"1"'})
    assert Cache(entry()).ask(x) is None
    assert outcome(x) == (b"fwd=bypass", "NoneType")


@pytest.mark.parametrize(
    ("method", "fields", "length"),
    [
        (b"GET", {b"upgrade": b"websocket"}, 0),
        (b"GET", {}, 5),
        (b"GET", {}, -1),
    ],
)
def test_what_would_not_bring_a_whole_answer_is_fetched_without_storing(
    method: bytes, fields: dict[bytes, bytes], length: int
) -> None:
    x = exchange(headers=fields, method=method)
    x.request.length = length
    assert Cache().ask(x) is None
    assert outcome(x) == (b"fwd=bypass", "NoneType")


def test_a_head_that_finds_nothing_is_passed_on() -> None:
    x = exchange(method=b"HEAD")
    assert Cache().ask(x) is None
    assert outcome(x) == (b"fwd=uri-miss", "NoneType")


def test_a_head_that_finds_something_stale_confirms_it_or_not(entry: Make) -> None:
    x = exchange(method=b"HEAD")
    assert Cache(entry(lifetime=-1.0)).ask(x) is None
    assert outcome(x) == (b"fwd=stale", "Confirmation")


@pytest.mark.parametrize(
    ("fields", "answered"),
    [
        ({b"range": b"bytes=2-3"}, True),
        ({b"range": b"bytes=0-9"}, False),
        ({b"range": b"bytes=2-3", b"if-range": b'"another"'}, False),
        ({b"range": b"lines=0-1"}, False),
        ({}, False),
    ],
)
def test_parts_answer_what_they_cover(entry: Make, fields: dict[bytes, bytes], answered: bool) -> None:
    parts = Parts(10)
    parts.add(0, b"01234")
    x = exchange(headers=fields)
    answer = Cache(entry(body=None, parts=parts)).ask(x)
    assert (answer is not None) is answered
    if answer is None:
        assert isinstance(x.lookup, Lookup)
    assert Cache(entry(body=None, parts=parts)).ask(exchange(method=b"HEAD")) is None


def test_a_key_that_could_not_be_shared_is_not_collapsed_for_a_while() -> None:
    cache, x = Cache(), exchange()
    cache.tiers.passing.add(b"http://www.example.com/")
    assert cache.ask(x) is None
    assert outcome(x) == (b"", "Passed")


async def test_a_stale_answer_may_be_given_while_it_is_refreshed(entry: Make) -> None:
    cache, x = Cache(entry(lifetime=0.0, while_revalidate=60.0)), exchange()
    cache.clock.advance(5)
    answer = cache.ask(x)
    assert answer is not None
    assert answer.get(b"age") == b"5"
    assert (x.verdict, answer.get(b"cache-status")) == (b"hit; detail=stale", b"edgeproxy; hit; detail=stale")
    assert cache.tiers.flights.waiting(b"http://www.example.com/", b"") is not None
    await cache.tiers.close()


def test_a_request_that_was_here_does_not_wait_for_itself(entry: Make) -> None:
    cache = Cache()
    with pytest.raises(EdgeError) as raised:
        cache.ask(exchange(headers={b"cdn-loop": b"other, edgeproxy"}))
    assert raised.value.kind is Kind.LOOP
    assert cache.ask(exchange(headers={b"cdn-loop": b"edgeproxy-b"})) is None
    assert Cache(entry()).ask(exchange(headers={b"cdn-loop": b"edgeproxy"})) is not None  # a kept answer ends the loop


class BelowMemory:
    """L2, with one answer."""

    def __init__(self, found: Entry | None) -> None:
        self.found = found

    def get(self, key: bytes, headers: dict[bytes, bytes]) -> Entry | None:
        return self.found if self.found is not None and self.found.key == key else None


@pytest.mark.interpreted
def test_what_only_the_disk_has_is_given_and_says_so(entry: Make) -> None:
    cache = Cache()
    cache.tiers.disk = BelowMemory(entry())  # type: ignore[assignment]
    for verdict in (b"hit; detail=l2", b"hit"):
        x = exchange()
        answer = cache.ask(x)
        assert answer is not None
        assert (answer.body, answer.get(b"cache-status"), x.verdict) == (
            b"0123456789",
            b"edgeproxy; " + verdict,
            verdict,
        )
    assert cache.ask(exchange(b"/other")) is None


@pytest.mark.interpreted
def test_what_is_stale_in_memory_and_fresh_on_disk_is_given_from_there(entry: Make) -> None:
    cache = Cache(entry(lifetime=1.0, initial_age=5.0))
    cache.tiers.disk = BelowMemory(entry(lifetime=60.0))  # type: ignore[assignment]
    x = exchange()
    assert cache.ask(x) is not None
    assert x.verdict == b"hit; detail=l2"


@pytest.mark.interpreted
def test_what_is_stale_on_disk_too_is_a_miss(entry: Make) -> None:
    cache = Cache()
    cache.tiers.disk = BelowMemory(entry(lifetime=0.0))  # type: ignore[assignment]
    x = exchange()
    assert cache.ask(x) is None
    assert isinstance(x.lookup, Lookup)
    assert x.lookup._reason == b"stale"
