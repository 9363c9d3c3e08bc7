from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.origin.limit import FIRST, LEAST, Gradient


def load(gradient: Gradient, seconds: float, answers: int) -> int:
    for _ in range(answers):
        gradient.took(seconds, gradient.limit)
    return gradient.limit


def test_it_grows_while_answers_take_what_they_usually_take():
    gradient = Gradient(500)
    assert gradient.limit == FIRST
    assert load(gradient, 0.01, 1000) == 500


def test_it_shrinks_when_they_take_longer_and_grows_again():
    gradient = Gradient(500)
    grown = load(gradient, 0.01, 100)
    assert load(gradient, 0.1, 30) < grown / 4
    assert load(gradient, 0.01, 300) > grown / 2


def test_what_takes_a_little_longer_is_no_queue():
    gradient = Gradient(500)
    grown = load(gradient, 0.01, 100)
    assert load(gradient, 0.014, 100) > grown


def test_a_limit_that_nothing_comes_near_to_stays():
    gradient = Gradient(500)
    for _ in range(1000):
        gradient.took(0.01, 3)
    assert gradient.limit == FIRST


def test_refusals_shrink_it_to_the_least():
    gradient = Gradient(500)
    assert gradient.refused() == FIRST * 9 // 10
    for _ in range(100):
        gradient.refused()
    assert gradient.limit == LEAST


def test_the_most_may_be_below_the_least():
    gradient = Gradient(2)
    assert gradient.limit == 2
    assert load(gradient, 1.0, 10) <= 2
    assert gradient.refused() <= 2


def test_a_queue_is_kept_short():
    """An endpoint that serves 30 at once in 10 ms each, and the rest behind one another: the limit finds it."""
    gradient = Gradient(1000)
    draw = random.Random(7)
    for _ in range(5000):
        in_flight = gradient.limit
        gradient.took(0.01 * max(1, in_flight / 30) * draw.uniform(0.9, 1.1), in_flight)
    assert 30 <= gradient.limit <= 120


@given(st.lists(st.tuples(st.floats(0, 1e6), st.integers(0, 2000)), max_size=50), st.integers(1, 2000))
def test_it_stays_within_its_bounds(answers: list[tuple[float, int]], most: int):
    gradient = Gradient(most)
    for seconds, in_flight in answers:
        assert 1 <= gradient.took(seconds, in_flight) <= most
        assert 1 <= gradient.refused() <= most


def test_an_endpoint_that_has_become_slower_finds_a_new_limit():
    gradient = Gradient(1000)
    for pace in (0.01, 0.05):
        for _ in range(3000):
            in_flight = gradient.limit
            gradient.took(pace * max(1, in_flight / 30), in_flight)
        assert 30 <= gradient.limit <= 120
