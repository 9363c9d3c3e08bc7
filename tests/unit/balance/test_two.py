"""Two drawn by weight."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from edgeproxy.balance.two import Two


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 1, 1, 5)])
def test_two_different_ones_are_drawn(weights: tuple[int, ...]) -> None:
    two = Two(weights, random.Random(7).random)
    places = range(len(weights))
    assert {two.take() for _ in range(2_000)} == {(i, j) for i in places for j in places if i != j}


def test_the_first_is_drawn_by_weight() -> None:
    two = Two((1, 3, 6), random.Random(7).random)
    first = Counter(two.take()[0] for _ in range(20_000))
    assert [first[i] / 20_000 for i in range(3)] == pytest.approx([0.1, 0.3, 0.6], abs=0.01)
