"""Flights, and keys that are not worth collapsing. What exchanges make of them: test_lookup.py."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from edgeproxy.cache.collapse import PASS_LIMIT, PASS_TIME, Flight, Flights, Passing
from edgeproxy.cache.entry import Entry
from edgeproxy.clock import ManualClock
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.http.message import Response


async def test_all_who_wait_see_the_head(entry: Callable[..., Entry]) -> None:
    flight, stored = Flight(), entry()
    waiting = [asyncio.ensure_future(flight.head()) for _ in range(3)]
    await asyncio.sleep(0)
    assert not flight.landed
    flight.share(stored, b"stored")
    await asyncio.gather(*waiting)
    assert (flight.landed, flight.entry, flight.verdict) == (True, stored, b"stored")


@pytest.mark.parametrize("order", ["leaves first", "answered first"])
async def test_an_answer_whose_only_client_left_is_closed(order: str) -> None:
    flight, pipe = Flight(), Pipe()
    closed: list[bool] = []
    pipe.close = lambda: closed.append(True)  # type: ignore[method-assign]
    if order == "leaves first":
        flight.leave()
        flight.deliver(Response(200, {}, pipe), b"")
    else:
        flight.deliver(Response(200, {}, pipe), b"")
        assert not closed
        flight.leave()
    assert closed == [True]


@pytest.mark.parametrize(
    ("error", "shared"),
    [
        (EdgeError(Kind.CONNECT_REFUSED, "origin"), True),
        (EdgeError(Kind.OVERLOADED, "edge"), False),
        (EdgeError(Kind.BODY_TOO_LARGE, "client"), False),
        (RuntimeError("a bug"), False),
    ],
)
def test_only_the_origins_own_errors_answer_all(error: Exception, shared: bool) -> None:
    flight = Flight()
    flight.fail(error)
    assert flight.landed
    assert flight.shared_error is (error if shared else None)


def test_a_flight_is_joined_by_key_and_variant_until_it_lands() -> None:
    flights, flight = Flights(), Flight()
    flights.add(b"k", b"gzip", flight)
    assert flights.waiting(b"k", b"gzip") is flight
    assert flights.waiting(b"k", b"br") is None
    assert flights.waiting(b"other", b"gzip") is None
    flight.fail(RuntimeError())
    assert flights.waiting(b"k", b"gzip") is None


def test_a_flight_that_ends_leaves_its_successor_in_place() -> None:
    flights, first, second = Flights(), Flight(), Flight()
    flights.add(b"k", b"", first)
    flights.add(b"k", b"", second)
    flights.remove(b"k", b"", first)
    assert flights.waiting(b"k", b"") is second
    flights.remove(b"k", b"", second)
    assert repr(flights) == "<Flights 0 under way>"
    flights.remove(b"k", b"", second)


def test_what_is_under_way_when_a_purge_comes_is_joined_by_nobody() -> None:
    flights, under_way = Flights(), [Flight(), Flight(), Flight()]
    for key, variant, flight in zip((b"k", b"k", b"other"), (b"a", b"b", b"a"), under_way, strict=True):
        flights.add(key, variant, flight)
    flights.purge(b"k")
    flights.purge(b"unknown")
    assert flights.waiting(b"k", b"a") is None
    assert flights.waiting(b"other", b"a") is under_way[2]


def test_a_key_is_remembered_for_a_while() -> None:
    clock = ManualClock(0)
    passing = Passing(clock.monotonic)
    passing.add(b"k")
    clock.advance(PASS_TIME - 1)
    assert b"k" in passing
    assert b"other" not in passing
    clock.advance(2 * PASS_TIME)
    assert b"k" not in passing


def test_a_key_seen_again_stays_and_one_discarded_goes() -> None:
    clock = ManualClock(0)
    passing = Passing(clock.monotonic)
    for _ in range(5):
        passing.add(b"k")
        clock.advance(PASS_TIME)
        assert b"k" in passing
    passing.discard(b"k")
    assert b"k" not in passing


def test_the_number_of_keys_has_a_bound() -> None:
    passing = Passing(ManualClock(0).monotonic)
    for number in range(2 * PASS_LIMIT):
        passing.add(b"%d" % number)
    assert len(passing._fresh) + len(passing._old) <= PASS_LIMIT + 1
    assert b"%d" % (2 * PASS_LIMIT - 1) in passing
    assert b"0" not in passing


def test_a_flood_of_long_keys_takes_little_memory() -> None:
    passing = Passing(ManualClock(0).monotonic)
    passing.add(b"k" * 30_000)
    assert b"k" * 30_000 in passing
    assert all(type(known) is int for known in passing._fresh | passing._old)
