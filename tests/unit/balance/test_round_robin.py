"""Turns by weight."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.round_robin import RoundRobin
from tests.support.members import Member

ASK = Ask(0.0)


def test_round_robin_takes_turns() -> None:
    turns = RoundRobin([Member("a"), Member("b"), Member("c")])
    assert "".join(turns.pick(ASK).name for _ in range(7)) == "abcabca"


def test_round_robin_is_smooth_by_weight() -> None:
    turns = RoundRobin([Member("a", 5), Member("b"), Member("c")])
    assert "".join(turns.pick(ASK).name for _ in range(14)) == "aacaabaaacaaba"


def test_every_round_gives_each_its_weight() -> None:
    weights = {"a": 7, "b": 3, "c": 1, "d": 1}
    turns = RoundRobin([Member(name, weight) for name, weight in weights.items()])
    for _ in range(50):
        assert Counter(turns.pick(ASK).name for _ in range(12)) == weights


@pytest.mark.parametrize("weight", [1, 3])
def test_a_member_with_half_a_share_gets_half_of_its_turns(weight: int) -> None:
    starting = Member("starting", weight, share=0.5)
    turns = RoundRobin([Member("a"), Member("b"), starting], random.Random(7).random)
    picked = Counter(turns.pick(ASK).name for _ in range(6_000))
    assert picked["starting"] / 6_000 == pytest.approx(weight / 2 / (2 + weight / 2), abs=0.02)


def test_where_all_start_slowly_one_is_taken_still() -> None:
    turns = RoundRobin([Member("a", share=0.0), Member("b", share=0.0)])
    assert {turns.pick(ASK).name for _ in range(4)} <= {"a", "b"}
