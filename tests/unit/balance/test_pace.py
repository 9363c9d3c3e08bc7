"""What a member's answers took, and how it fades."""

from __future__ import annotations

import pytest

from edgeproxy.balance.pace import KINDS, TIRELESS, Pace, Usual


def settled(pace: Pace, kind: int, seconds: float, until: float, count: int = 200) -> None:
    """So many answers in the ten seconds before ``until``, all alike."""
    for i in range(count):
        pace.took(kind, seconds, until - 10 * (count - 1 - i) / count)


def test_what_nobody_knows_is_nothing() -> None:
    assert [Pace().expected(kind, 5.0) for kind in range(KINDS)] == [0.0] * KINDS


def test_the_first_answer_is_the_time() -> None:
    pace = Pace()
    pace.took(3, 0.2, 1.0)
    assert pace.expected(3, 1.0) == pytest.approx(0.2)
    assert repr(pace) == "<Pace - - - 200.0 - - - - ms>"


def test_times_follow_what_answers_take() -> None:
    pace = Pace()
    settled(pace, 2, 0.1, 10.0)
    settled(pace, 2, 0.4, 20.0)
    assert pace.expected(2, 20.0) == pytest.approx(0.4, rel=0.1)


def test_one_slow_answer_is_no_slow_member() -> None:
    pace = Pace()
    settled(pace, 2, 0.1, 10.0)
    pace.took(2, 10.0, 10.01)
    assert pace.expected(2, 10.01) < 0.25
    pace.took(2, 10.0, 500.0)  # and not where few come either
    assert pace.expected(2, 500.0) < 3.2


def test_kinds_are_apart() -> None:
    pace = Pace()
    settled(pace, 1, 0.01, 10.0)
    settled(pace, 5, 2.0, 10.0)
    assert pace.expected(1, 10.0) == pytest.approx(0.01)
    assert pace.expected(5, 10.0) == pytest.approx(2.0)


def test_an_unseen_kind_is_taken_at_the_pools_time_and_the_members_ratio() -> None:
    usual = Usual()
    slow, fast = Pace(usual), Pace(usual)
    for i in range(2_000):
        slow.took(1, 0.03, i / 100)
        fast.took(1, 0.01, i / 100)
    fast.took(4, 1.0, 20.0)
    ratio = slow.expected(4, 20.0) / usual.times[4]
    assert 1.2 < ratio < 2.0  # 0.03 against a mean of 0.02
    assert Pace(usual).expected(4, 20.0) == usual.times[4]


def test_a_member_nobody_asks_loses_its_bad_past() -> None:
    usual = Usual()
    slow, other = Pace(usual), Pace(usual)
    settled(slow, 2, 5.0, 10.0)
    settled(other, 2, 0.1, 20.0)
    assert slow.expected(2, 11.0) == pytest.approx(5.0)
    faded = [slow.expected(2, now) for now in (15.0, 30.0, 60.0, 200.0)]
    assert faded == sorted(faded, reverse=True)
    assert faded[-1] == pytest.approx(usual.times[2], rel=0.01)


def test_a_failure_is_no_fast_answer() -> None:
    pace = Pace()
    settled(pace, 2, 0.1, 10.0)
    for i in range(20):
        pace.failed(2, 10.0 + i / 100)
    assert pace.errors(10.2) > 0.9
    assert pace.expected(2, 10.2) > 1.0


def test_who_always_fails_has_a_price_still() -> None:
    pace = Pace()
    settled(pace, 2, 0.1, 10.0)
    for i in range(1_000):
        pace.failed(2, 10.0 + i / 1_000)
    assert pace.expected(2, 11.0) == pytest.approx(0.1 / (1 - TIRELESS))


@pytest.mark.parametrize("recovery", ["answers", "time"])
def test_failures_are_forgotten(recovery: str) -> None:
    pace = Pace()
    settled(pace, 2, 0.1, 10.0)
    for i in range(20):
        pace.failed(2, 10.0 + i / 100)
    if recovery == "answers":
        settled(pace, 2, 0.1, 60.0, 2_000)
        assert pace.expected(2, 60.0) == pytest.approx(0.1, rel=0.01)
    else:
        assert pace.errors(100.0) < 0.01


def test_a_peak_is_up_at_once_and_down_by_and_by() -> None:
    pace = Pace()
    settled(pace, 2, 0.1, 10.0)
    pace.took(6, 4.0, 10.0)
    assert pace.peak(10.0) == 4.0
    assert pace.peak(20.0) == pytest.approx(4.0 / 2.718, rel=0.01)
    pace.took(2, 0.1, 12.0)
    assert 3.0 < pace.peak(12.0) < 4.0


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e9])
def test_odd_times_do_no_harm(seconds: float) -> None:
    usual = Usual()
    pace, other = Pace(usual), Pace(usual)
    for now in (1.0, 1.0, 0.5, 2.0):  # a clock of another source may even step back
        pace.took(0, seconds, now)
        other.failed(0, now)
        other.took(7, seconds, now)
    for each in (pace, other):
        assert all(0.0 <= each.expected(kind, 3.0) <= 21 * max(seconds, 1.0) * 100 for kind in range(KINDS))
        assert 0.0 <= each.peak(3.0) <= max(seconds, 1.0)
