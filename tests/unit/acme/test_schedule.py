from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.acme.schedule import AUTHORITY_STEPS, NAME_STEPS, ask_again, due, retry, room, share, within
from edgeproxy.config.units import RateValue

DAY = 86_400.0


def test_a_certificate_is_due_when_the_last_part_of_its_lifetime_begins() -> None:
    assert due("a.example", 0.0, 90 * DAY, 1 / 3, 0.0) == pytest.approx(60 * DAY)


def test_names_are_spread_before_that_each_at_a_time_that_stays_the_same() -> None:
    names = [f"{number}.example" for number in range(200)]
    times = [due(name, 0.0, 100 * DAY, 0.3, 0.1) for name in names]
    assert min(times) >= 60 * DAY
    assert max(times) <= 70 * DAY
    in_days = {int(time / DAY) for time in times}
    assert in_days == set(range(60, 70))
    assert times == [due(name, 0.0, 100 * DAY, 0.3, 0.1) for name in names]


@given(st.text())
def test_a_share_is_one(name: str) -> None:
    assert 0 <= share(name) < 1


def test_a_moment_lies_in_the_window_the_authority_suggests() -> None:
    assert 10 <= within("a.example", 10, 20) < 20
    assert within("a.example", 20, 10) == 20  # a window the wrong way round is a moment


def test_tries_grow_rarer_and_the_authority_s_wish_counts() -> None:
    for steps in (NAME_STEPS, AUTHORITY_STEPS):
        taken = [retry(0.0, steps, failures, 0.0, 0.999999) for failures in range(1, 12)]
        assert taken == sorted(taken)
        assert taken[-1] == pytest.approx(steps[-1], rel=1e-3)
        assert retry(0.0, steps, 10**9, 0.0, 0.0) == steps[-1] / 2
    assert retry(0.0, NAME_STEPS, 1, 7200.0, 0.5) == 7200
    assert retry(0.0, NAME_STEPS, 4, 60.0, 0.0) == 3600


def test_no_more_than_five_validations_fail_in_an_hour() -> None:
    now, times = 0.0, []
    for failures in range(1, 20):
        times.append(now)
        now = retry(now, NAME_STEPS, failures, 0.0, 0.0)
    assert max(sum(at <= one < at + 3600 for one in times) for at in times) <= 5


def test_the_authority_is_asked_every_hour_to_every_day() -> None:
    assert ask_again(0.0, 0.0) == 3600
    assert ask_again(0.0, 7200.0) == 7200
    assert ask_again(0.0, 1e9) == DAY


def test_the_rate_leaves_room_and_says_when_there_is_some_again() -> None:
    rate = RateValue(2, 3600.0)
    assert room([], rate, 5000.0) == (2, 5000.0)
    assert room([1000.0, 2000.0], rate, 5000.0) == (1, 5000.0)
    assert room([2000.0, 3000.0], rate, 5000.0) == (0, 5600.0)
    assert room([2000.0, 3000.0, 4000.0], rate, 5000.0) == (0, 6600.0)
    assert room([5010.0, 4000.0], rate, 5000.0) == (0, 7600.0)  # another node's clock is ahead
    assert room([9000.0], rate, 5000.0) == (2, 5000.0)  # a clock that was wrong blocks nothing


def test_a_rate_below_one_is_one() -> None:
    assert room([], RateValue(0.5, 60.0), 0.0) == (1, 0.0)
