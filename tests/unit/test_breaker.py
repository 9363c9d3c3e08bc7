"""The breaker's three states, on a clock that is set."""

from __future__ import annotations

import pytest

from edgeproxy.breaker import FAILURES, FIRST_WAIT, LONGEST_WAIT, Breaker
from edgeproxy.clock import ManualClock


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock(0)


@pytest.fixture
def closed(clock: ManualClock) -> Breaker:
    breaker = Breaker(clock.monotonic)
    assert breaker.trial()
    assert breaker.succeeded()
    return breaker


def test_a_new_one_wants_a_trial_first(clock: ManualClock) -> None:
    breaker = Breaker(clock.monotonic)
    assert (breaker.closed, breaker.wait) == (False, 0.0)
    assert breaker.trial()
    assert repr(breaker) == "<Breaker half-open>"
    assert breaker.succeeded()
    assert breaker.closed


def test_failures_in_a_row_open_it(closed: Breaker) -> None:
    for _ in range(FAILURES - 1):
        assert not closed.failed()
    closed.succeeded()
    assert [closed.failed() for _ in range(FAILURES)] == [False] * (FAILURES - 1) + [True]
    assert repr(closed) == "<Breaker open>"
    assert not closed.failed()  # what was under way still fails, and changes nothing
    assert not closed.succeeded()
    assert not closed.closed


def test_one_trial_at_a_time_and_only_when_it_is_due(closed: Breaker, clock: ManualClock) -> None:
    for _ in range(FAILURES):
        closed.failed()
    assert closed.wait == FIRST_WAIT
    assert not closed.trial()
    clock.advance(FIRST_WAIT)
    assert closed.trial()
    assert not closed.trial()


def test_waits_double_up_to_a_bound_and_begin_anew(closed: Breaker, clock: ManualClock) -> None:
    for _ in range(FAILURES):
        closed.failed()
    waits = []
    for _ in range(8):
        waits.append(closed.wait)
        clock.advance(closed.wait)
        assert closed.trial()
        assert not closed.failed()
    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0, 8.0, 8.0, LONGEST_WAIT]
    clock.advance(closed.wait)
    assert closed.trial()
    assert closed.succeeded()
    for _ in range(FAILURES):
        closed.failed()
    assert closed.wait == FIRST_WAIT
