from __future__ import annotations

import random
from collections import Counter
from dataclasses import dataclass

import pytest

from edgeproxy.origin.balance import LeastRequest, RoundRobin, balancer


@dataclass(eq=False)
class Member:
    name: str
    weight: int = 1
    in_flight: int = 0


def test_round_robin_takes_turns():
    turns = RoundRobin([Member("a"), Member("b"), Member("c")])
    assert "".join(turns.pick().name for _ in range(7)) == "abcabca"


def test_round_robin_is_smooth_by_weight():
    turns = RoundRobin([Member("a", 5), Member("b"), Member("c")])
    assert "".join(turns.pick().name for _ in range(14)) == "aabacaaaabacaa"


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 3, 6), (100, 1)])
def test_least_request_shares_by_weight_when_nobody_is_busy(weights):
    members = [Member(str(weight), weight) for weight in weights]
    choose = LeastRequest(members, random.Random(7).random)
    picked = Counter(id(choose.pick()) for _ in range(20_000))
    for member in members:
        assert picked[id(member)] / 20_000 == pytest.approx(member.weight / sum(weights), abs=0.015)


def test_least_request_draws_two_different_ones():
    members = [Member(str(i), weight) for i, weight in enumerate((1, 1, 1, 5))]
    for weighted in (members, members[:3]):
        choose = LeastRequest(weighted, random.Random(7).random)
        pairs = {choose._two() for _ in range(2_000)}
        assert pairs == {(i, j) for i in range(len(weighted)) for j in range(len(weighted)) if i != j}


def test_least_request_prefers_the_less_busy_for_its_weight():
    busy, free = Member("busy", 1, 10), Member("free", 1, 0)
    choose = LeastRequest([busy, free])
    assert {choose.pick().name for _ in range(50)} == {"free"}
    strong, weak = Member("strong", 10, 15), Member("weak", 1, 2)
    choose = LeastRequest([strong, weak])
    assert {choose.pick().name for _ in range(50)} == {"strong"}  # 1.5 a unit of weight against 2


def test_least_request_levels_the_load():
    members = [Member(str(i)) for i in range(10)]
    choose = LeastRequest(members, random.Random(7).random)
    for _ in range(1_000):
        choose.pick().in_flight += 1
    assert max(member.in_flight for member in members) - min(member.in_flight for member in members) <= 6


def test_the_configured_method_is_used():
    assert isinstance(balancer("round_robin", [Member("a")]), RoundRobin)
    assert isinstance(balancer("least_request", [Member("a")]), LeastRequest)
