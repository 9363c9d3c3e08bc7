from __future__ import annotations

import random

import pytest

from edgeproxy.config.pools import HedgeConfig
from edgeproxy.origin.hedge import ENOUGH, Heads, Hedge


@pytest.mark.parametrize("quantile", [0.9, 0.95, 0.99])
def test_a_quantile_is_known_within_a_step(quantile: float):
    heads, draw = Heads(quantile), random.Random(3)
    times = [draw.lognormvariate(-4, 0.7) for _ in range(1000)]
    for seconds in times:
        heads.took(2, seconds)
    exact = sorted(times)[int(quantile * len(times))]
    assert exact / 1.25 <= heads.quantile(2) <= exact * 1.25


def test_a_few_answers_say_nothing_and_kinds_are_apart():
    heads = Heads(0.95)
    for _ in range(ENOUGH - 1):
        heads.took(0, 0.01)
    assert heads.quantile(0) == 0.0
    heads.took(0, 0.01)
    assert heads.quantile(0) > 0
    assert heads.quantile(1) == 0.0


def test_what_is_long_past_is_forgotten():
    heads = Heads(0.95)
    for _ in range(5000):
        heads.took(0, 1.0)
    for _ in range(5000):
        heads.took(0, 0.01)
    assert heads.quantile(0) < 0.02


@pytest.mark.parametrize("seconds", [0.0, 1e-9, 1e9])
def test_times_beyond_the_steps_count_at_their_ends(seconds: float):
    heads = Heads(0.95)
    for _ in range(ENOUGH):
        heads.took(7, seconds)
    assert 0 < heads.quantile(7) < 200


def test_a_time_that_is_set_stands_and_none_is_known_at_first():
    assert Hedge(HedgeConfig.model_validate({"after": "50ms"})).after(3) == 0.05
    hedge = Hedge(HedgeConfig())
    assert hedge.after(3) == 0.0
    for _ in range(ENOUGH):
        hedge.took(3, 0.02)
    assert 0.02 <= hedge.after(3) < 0.025
