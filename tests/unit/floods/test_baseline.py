"""Mean and deviation of what is usual."""

from __future__ import annotations

import statistics

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.floods.baseline import Baseline

rates = st.floats(0, 1e6)


def learned(values: list[float], memory: float = 600.0, least: float = 1.0) -> Baseline:
    baseline = Baseline(memory, least)
    for value in values:
        baseline.learn(value, 0.5, within=float("inf"))
    return baseline


def test_the_first_intervals_make_a_plain_mean_and_deviation() -> None:
    values = [10.0, 30.0, 20.0, 60.0, 5.0]
    baseline = learned(values)
    assert baseline.mean == pytest.approx(statistics.fmean(values))
    assert baseline.variance == pytest.approx(statistics.pvariance(values))


def test_what_has_been_so_for_long_is_usual() -> None:
    baseline = learned([100.0] * 2000, memory=60)
    for _ in range(600):  # five minutes of twice as much
        baseline.learn(200.0, 0.5)
    assert 190 < baseline.mean <= 200


def test_what_is_far_off_is_learned_as_if_it_were_nearer() -> None:
    baseline = learned([100.0] * 2000)
    baseline.learn(1e9, 0.5)
    assert baseline.mean < 101
    assert baseline.deviation < 30


def test_a_figure_that_never_moved_has_a_deviation_all_the_same() -> None:
    assert learned([0.0] * 100, least=6.25).score(50) == pytest.approx(8)
    assert learned([100.0] * 100, least=6.25).score(300) == pytest.approx(8)


def test_slower_is_slower() -> None:
    fast, slow = learned([100.0] * 2000), learned([100.0] * 2000)
    fast.learn(150, 0.5)
    slow.learn(150, 0.5, slower=5)
    assert slow.mean - 100 == pytest.approx((fast.mean - 100) / 5)


@given(st.lists(rates, max_size=40), rates, rates)
def test_more_never_scores_less(values: list[float], one: float, other: float) -> None:
    baseline = learned(values)
    low, high = sorted((one, other))
    assert baseline.score(low) <= baseline.score(high)


@given(st.lists(rates, min_size=1, max_size=40))
def test_the_mean_stays_between_what_was_learned(values: list[float]) -> None:
    baseline = Baseline(10, 1)
    for value in values:
        baseline.learn(value, 0.5)
    assert -1e-6 <= baseline.mean <= max(values) * (1 + 1e-9) + 1e-6
    assert baseline.variance >= 0
