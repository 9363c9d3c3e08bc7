"""The sliding window counter, beside an exact log of what it let through."""

from __future__ import annotations

import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.limits.window import SLICES, Window

PERIOD = 80.0
SLICE = PERIOD / SLICES


def test_so_many_pass_in_a_period_however_they_come() -> None:
    window = Window(PERIOD, 3, 100)
    assert [window.take(b"a", 1000.0 + gap) > 0 for gap in (0, 0, 50, 60, 79)] == [True, True, True, False, False]


def test_what_was_used_comes_back_after_a_period_and_a_slice_at_most() -> None:
    window = Window(PERIOD, 2, 100)
    window.take(b"a", 1000.0)
    window.take(b"a", 1009.0)
    assert window.take(b"a", 1089.9) < 0
    assert [window.take(b"a", 1090.0) > 0 for _ in range(3)] == [True, True, False]


def test_a_refusal_says_how_long_to_wait_and_is_not_counted() -> None:
    window = Window(PERIOD, 2, 100)
    window.take(b"a", 1000.0)
    window.take(b"a", 1030.0)
    assert [window.take(b"a", 1035.0) for _ in range(3)] == [pytest.approx(-55.0)] * 3
    assert window.take(b"a", 1090.0) > 0
    assert window.wait(b"a", 1090.0) == pytest.approx(30.0)


def test_asking_for_the_wait_counts_nothing_and_remembers_nobody() -> None:
    window = Window(PERIOD, 1, 100)
    assert window.wait(b"a", 1000.0) == 0
    assert len(window) == 0
    window.take(b"a", 1000.0)
    assert window.wait(b"a", 1000.0) == pytest.approx(90.0)


@pytest.mark.parametrize("slices_later", range(9, 20))
def test_after_a_long_silence_nothing_is_left_of_the_count(slices_later: int) -> None:
    window = Window(PERIOD, 9, 100)
    for number in range(9):
        window.take(b"a", 1000.0 + number * SLICE)
    assert window.take(b"a", 1000.0 + (8 + slices_later) * SLICE, 9.0) > 0


def test_what_costs_more_takes_more_and_waits_for_as_much() -> None:
    window = Window(PERIOD, 10, 100)
    window.take(b"a", 1000.0, 4.0)
    window.take(b"a", 1040.0, 4.0)
    assert window.take(b"a", 1050.0, 6.0) == pytest.approx(-40.0)
    assert window.take(b"a", 1050.0, 7.0) == pytest.approx(-80.0)
    assert window.take(b"a", 1050.0, 2.0) > 0


def test_what_is_charged_afterwards_may_exceed_the_limit_and_is_forgotten_with_its_slice() -> None:
    window = Window(PERIOD, 10, 100)
    window.charge(b"a", 1000.0, 500.0)
    assert window.wait(b"a", 1001.0) == pytest.approx(89.0)
    assert window.take(b"a", 1090.0, 10.0) > 0


def test_what_began_before_the_last_slice_counts_in_it_and_wipes_nothing() -> None:
    window = Window(PERIOD, 3, 100)
    window.charge(b"a", 1045.0, 2.0)
    assert window.take(b"a", 1001.0) > 0
    assert window.take(b"a", 1046.0) < 0


def test_available_counts_down_and_comes_back() -> None:
    window = Window(PERIOD, 4, 100)
    assert [window.available(window.take(b"a", 1000.0), 1000.0) for _ in range(4)] == [3, 2, 1, 0]
    arrival = window.take(b"b", 1000.0)
    assert window.available(arrival, arrival) == 4
    assert window.available(0.0, 1000.0) == 4


async def test_it_has_no_work_in_the_background() -> None:
    window = Window(PERIOD, 1, 100)
    await window.start()
    await window.stop()
    assert window.take(b"a", 1000.0) > 0


def test_keys_do_not_share_and_their_number_is_bounded() -> None:
    window = Window(PERIOD, 1, 100)
    window.take(b"busy", 1000.0)
    for number in range(5000):
        assert window.take(b"%d" % number, 1000.0) > 0
        assert window.take(b"busy", 1000.0) < 0
    assert len(window) <= 100


def test_a_flood_of_keys_stays_within_the_memory_of_the_bound() -> None:
    keys = 1_000
    window = Window(PERIOD, 100, keys)
    tracemalloc.start()
    try:
        for number in range(10_000):
            for slice_number in range(SLICES):
                window.take(b"2001:db8:%x::/64" % number, 1000.0 + slice_number * SLICE)
        used = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert keys / 2 <= len(window) <= keys
    assert used < keys * 650


GAPS = st.one_of(st.floats(0, SLICE * 2), st.just(0.0), st.just(SLICE), st.just(PERIOD))
ASKED = st.lists(st.tuples(GAPS, st.integers(1, 3), st.booleans()), max_size=60)


@given(st.floats(0, PERIOD), ASKED, st.integers(3, 12))
def test_against_an_exact_log_it_is_never_over_and_refuses_only_what_nine_eighths_of_a_period_hold(
    start: float, asked: list[tuple[float, int, bool]], limit: int
) -> None:
    window = Window(PERIOD, limit, 100)
    now, log = 1000.0 + start, []
    for gap, cost, waits in asked:
        now += gap
        told = window.take(b"a", now, float(cost))
        if told < 0:
            held = sum(used for when, used in log if when >= now - PERIOD - SLICE - 1e-6)
            assert held + cost > limit
            assert -told <= PERIOD + SLICE
            if not waits:
                continue
            now += 1e-6 - told
            assert window.take(b"a", now, float(cost)) > 0
        log.append((now, cost))
        assert sum(used for when, used in log if when > now - PERIOD + 1e-5) <= limit
