"""What a stage's configuration makes of an answer."""

from __future__ import annotations

from typing import Any

import pytest

from edgeproxy.cache import policy
from edgeproxy.cache.rules import Rules
from edgeproxy.clock import ManualClock
from edgeproxy.http.body import Pipe
from edgeproxy.http.message import Response
from tests.support.stages import exchange, services


def rules(**given: Any) -> Rules:
    clock = ManualClock()
    return Rules(services(clock).cache, clock, policy.Heuristic(), largest=100, grace=60, **given)


@pytest.mark.parametrize(
    ("headers", "allowed", "storable"),
    [
        ({b"cache-control": b"max-age=60"}, True, True),
        ({b"cache-control": b"no-store"}, False, False),
        ({}, True, False),  # never fresh, and nothing to ask about
        ({b"etag": b'"1"'}, True, True),
        ({b"cache-control": b"no-cache"}, True, False),
        ({b"cache-control": b"max-age=0, stale-while-revalidate=9"}, True, True),
        ({b"cache-control": b"max-age=60", b"age": b"90"}, True, False),
        ({b"cache-control": b"no-store", b"cdn-cache-control": b"max-age=60"}, True, True),
        ({b"cache-control": b"max-age=60", b"cdn-cache-control": b"no-store"}, False, False),
        ({b"cache-control": b"max-age=60", b"surrogate-key": b"x" * 2000}, False, False),
    ],
)
def test_what_is_stored_may_be_and_is_of_use(headers: dict[bytes, bytes], allowed: bool, storable: bool) -> None:
    assert rules().allowed(exchange(), 200, headers) is allowed
    assert rules().storable(exchange(), 200, headers) is storable


def test_whom_a_token_names_counts_like_authorization() -> None:
    x = exchange()
    x.claims = {"sub": "a"}
    assert not rules().allowed(x, 200, {b"cache-control": b"max-age=60"})
    assert rules().allowed(x, 200, {b"cache-control": b"s-maxage=60"})


def test_who_somebody_proved_to_be_counts_like_authorization() -> None:
    x = exchange()
    x.identity = "shop"
    assert not rules().allowed(x, 200, {b"cache-control": b"max-age=60"})
    assert rules().allowed(x, 200, {b"cache-control": b"public, max-age=60"})


def test_a_form_that_a_stage_has_made_need_not_be_what_its_path_says() -> None:
    x, facts = exchange(b"/a.jpg"), {b"content-type": b"application/json", b"cache-control": b"max-age=60"}
    assert not rules().allowed(x, 200, facts)
    x.facet = b"f=json"
    assert rules().allowed(x, 200, facts)


def test_the_target_list_is_configurable() -> None:
    told = {b"cache-control": b"no-store", b"cdn-cache-control": b"max-age=60", b"x-cache-control": b"max-age=90"}
    assert not rules(targets=()).allowed(exchange(), 200, told)
    assert rules(targets=(b"x-cache-control",)).terms(exchange(), 200, told, 0.0, 0.0).lifetime == 90


@pytest.mark.parametrize(
    ("response", "fits"),
    [
        (Response(200, {}, b"x" * 100), True),
        (Response(200, {}, b"x" * 101), False),
        (Response(200, {}, Pipe(100)), True),
        (Response(200, {}, Pipe(101)), False),
        (Response(200, {}, Pipe()), True),
        (Response(200, {b"content-type": b"Text/Event-Stream; charset=utf-8"}, Pipe()), False),
        (Response(200, {b"content-type": b"text/event-stream"}, Pipe(100)), True),
        (Response(200, {b"content-type": b"text/html"}, Pipe()), True),
    ],
)
def test_a_body_that_is_known_to_be_too_large_or_to_have_no_end_does_not_fit(response: Response, fits: bool) -> None:
    assert rules().fits(response) is fits


def test_fields_for_one_reader_are_told_from_those_for_all() -> None:
    told = {b"cache-control": b'private="x-user"', b"x-user": b"a", b"x-all": b"b", b"cache-tag": b"t"}
    kept, own = rules().kept(exchange(), 200, told)
    assert kept == {b"cache-control": b'private="x-user"', b"x-all": b"b"}
    assert own == {b"x-user": b"a"}
    kept, own = rules().kept(exchange(), 200, {b"x-all": b"b"})
    assert (kept, own) == ({b"x-all": b"b"}, {})
