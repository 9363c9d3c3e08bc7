"""The generic cell rate algorithm."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.limits.gcra import Limiter


def test_a_burst_passes_then_one_each_interval() -> None:
    limiter = Limiter(0.5, 3, 100)
    assert [limiter.take("a", 1000.0) > 0 for _ in range(5)] == [True, True, True, False, False]
    assert limiter.take("a", 1000.4) < 0
    assert limiter.take("a", 1000.5) > 0
    assert limiter.take("a", 1000.5) < 0


def test_a_refusal_says_how_long_to_wait_and_is_not_counted() -> None:
    limiter = Limiter(2.0, 1, 100)
    limiter.take("a", 1000.0)
    assert limiter.take("a", 1000.5) == pytest.approx(-1.5)
    assert limiter.take("a", 1000.5) == pytest.approx(-1.5)
    assert limiter.take("a", 1002.0) > 0


def test_asking_for_the_wait_counts_nothing() -> None:
    limiter = Limiter(2.0, 1, 100)
    assert limiter.wait("a", 1000.0) == 0
    limiter.take("a", 1000.0)
    assert limiter.wait("a", 1000.5) == pytest.approx(1.5)
    assert limiter.wait("a", 1002.0) == 0


def test_the_wait_of_a_key_that_was_not_seen_for_a_while_is_known() -> None:
    limiter = Limiter(10.0, 1, 4)
    for key in ("idle", "b", "c"):
        limiter.take(key, 1000.0)
    assert limiter.wait("idle", 1004.0) == pytest.approx(6.0)
    assert limiter.wait("never", 1004.0) == 0


def test_available_counts_down_and_fills_up_again() -> None:
    limiter = Limiter(0.1, 5, 100)
    assert [limiter.available(limiter.take("a", 1000.0), 1000.0) for _ in range(5)] == [4, 3, 2, 1, 0]
    arrival = limiter.take("a", 1000.1)
    assert limiter.available(arrival, 1000.1) == 0
    assert limiter.available(arrival, 1000.31) == 2
    assert limiter.available(arrival, 1001.0) == 5


def test_keys_do_not_share() -> None:
    limiter = Limiter(10.0, 1, 100)
    assert limiter.take("a", 1000.0) > 0
    assert limiter.take("b", 1000.0) > 0
    assert limiter.take("a", 1000.0) < 0


def test_the_number_of_keys_is_bounded_and_a_key_in_use_is_not_forgotten() -> None:
    limiter = Limiter(3600.0, 1, 100)
    limiter.take("busy", 1000.0)
    for number in range(5000):
        limiter.take(str(number), 1000.0)
        assert limiter.take("busy", 1000.0) < 0
    assert len(limiter) <= 100


def test_a_key_not_seen_for_long_is_forgotten_at_the_bound() -> None:
    limiter = Limiter(3600.0, 1, 100)
    limiter.take("idle", 1000.0)
    for number in range(150):
        limiter.take(str(number), 1000.0)
    assert limiter.take("idle", 1000.0) > 0


def test_what_costs_more_takes_more_and_is_refused_whole() -> None:
    limiter = Limiter(1.0, 10, 100)
    assert limiter.available(limiter.take("a", 1000.0, 7.0), 1000.0) == 3
    assert limiter.wait("a", 1000.0, 4.0) == pytest.approx(1.0)
    assert limiter.take("a", 1000.0, 4.0) == pytest.approx(-1.0)
    assert limiter.available(limiter.take("a", 1000.0, 3.0), 1000.0) == 0


def test_what_is_charged_afterwards_may_exceed_the_limit_and_is_waited_off() -> None:
    limiter = Limiter(0.1, 10, 100)
    limiter.charge("a", 1000.0, 30.0)
    assert limiter.wait("a", 1000.0) == pytest.approx(2.1)
    assert limiter.take("a", 1002.0) < 0
    assert limiter.take("a", 1002.2) > 0
    limiter.charge("new", 1000.0, 0.5)
    assert limiter.wait("new", 1000.0, 9.5) == 0


def test_an_event_that_costs_nothing_is_not_counted() -> None:
    limiter = Limiter(1.0, 2, 100)
    assert [limiter.available(limiter.take("a", 1000.0, 0.0), 1000.0) for _ in range(3)] == [2, 2, 2]


async def test_it_has_no_work_in_the_background() -> None:
    limiter = Limiter(1.0, 1, 100)
    await limiter.start()
    await limiter.stop()
    assert limiter.take("a", 1000.0) > 0


@pytest.mark.slow
def test_a_million_distinct_keys_stay_within_the_memory_of_the_bound() -> None:
    keys = 20_000
    limiter = Limiter(3600.0, 1, keys)
    tracemalloc.start()
    try:
        for number in range(1_000_000):
            limiter.take(b"2001:db8:%x:%x::/64" % divmod(number, 65_536), 1000.0)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert keys / 2 <= len(limiter) <= keys
    assert used < keys * 220


COSTS = st.sampled_from([0.5, 1.0, 2.0, 3.0])


@given(st.lists(st.tuples(st.floats(0, 0.3), COSTS), max_size=60), st.integers(3, 9))
def test_no_interval_ever_lets_through_more_than_burst_and_rate(asked: list[tuple[float, float]], burst: int) -> None:
    limiter = Limiter(0.1, burst, 100)
    now, passed = 1000.0, []
    for gap, cost in asked:
        now += gap
        if limiter.take("a", now, cost) > 0:
            passed.append((now, cost))
    for first, (begin, _) in enumerate(passed):
        through = 0.0
        for end, cost in passed[first:]:
            through += cost
            assert through <= burst + (end - begin) / 0.1 + 1e-4


@given(st.lists(st.floats(0, 0.3), max_size=40), st.integers(1, 5))
def test_coming_back_after_the_wait_is_allowed_and_sooner_is_not(gaps: list[float], burst: int) -> None:
    limiter = Limiter(0.1, burst, 100)
    now = 1000.0
    for gap in gaps:
        now += gap
        arrival = limiter.take("a", now)
        if arrival < 0:
            assert limiter.wait("a", now) == pytest.approx(-arrival)
            assert limiter.wait("a", now - arrival * 0.9) > 0
            assert limiter.take("a", now - arrival) > 0
            now -= arrival
