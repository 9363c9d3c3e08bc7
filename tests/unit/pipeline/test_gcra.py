"""The generic cell rate algorithm."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.pipeline.gcra import Limiter


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


@given(st.lists(st.floats(0, 0.3), max_size=60), st.integers(1, 5))
def test_no_window_ever_passes_more_than_burst_and_rate(gaps: list[float], burst: int) -> None:
    limiter = Limiter(0.1, burst, 100)
    now, passed = 1000.0, []
    for gap in gaps:
        now += gap
        if limiter.take("a", now) > 0:
            passed.append(now)
    for first, begin in enumerate(passed):
        for last in range(first, len(passed)):
            assert last - first + 1 <= burst + (passed[last] - begin) / 0.1 + 1e-6
