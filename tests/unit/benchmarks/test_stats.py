"""Ratios of interleaved pairs."""

import pytest

from tests.benchmarks.stats import Ratio, Target, quantile


def test_the_ratio_is_the_median_of_the_pairs_ratios_with_the_worst_and_the_best():
    ratio = Ratio.of([30, 10, 20], [60, 10, 10])

    assert ratio == Ratio(ours=20, peer=10, median=1.0, low=0.5, high=2.0)


def test_one_slow_pair_moves_the_spread_and_not_the_ratio():
    ratio = Ratio.of([8, 8, 8, 8, 80], [10, 10, 10, 10, 10])

    assert (ratio.median, ratio.high) == (0.8, 8.0)


def test_noise_common_to_both_sides_of_a_pair_cancels_out():
    ratio = Ratio.of([8, 16, 24], [10, 20, 30])

    assert (ratio.low, ratio.high) == pytest.approx((0.8, 0.8))


@pytest.mark.parametrize(("ours", "peer"), [([], []), ([1], [1, 2]), ([1], [0]), ([-1], [1])])
def test_values_that_make_no_ratio_are_refused(ours, peer):
    with pytest.raises(ValueError):
        Ratio.of(ours, peer)


@pytest.mark.parametrize(("ratio", "reached"), [(0.7, "aim"), (0.8, "aim"), (0.9, "must"), (1.0, "must"), (1.01, "no")])
def test_a_target_of_cost_is_reached_from_above(ratio, reached):
    assert Target(1.0, 0.8).reached(ratio) == reached


@pytest.mark.parametrize(("ratio", "reached"), [(1.95, "aim"), (1.9, "aim"), (1.7, "must"), (1.6, "no")])
def test_a_target_of_capacity_is_reached_from_below(ratio, reached):
    assert Target(1.7, 1.9, higher_is_better=True).reached(ratio) == reached


@pytest.mark.parametrize(("q", "value"), [(0, 1), (0.5, 2), (0.51, 3), (0.75, 3), (0.99, 4), (1, 4)])
def test_a_quantile_is_a_value_that_was_seen(q, value):
    assert quantile([3, 1, 4, 2], q) == value


def test_nothing_has_no_quantile():
    with pytest.raises(ValueError):
        quantile([], 0.5)
