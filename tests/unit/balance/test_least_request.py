"""The less busy of two."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.least_request import LeastRequest
from tests.support.members import Member

ASK = Ask(0.0)


@pytest.mark.parametrize("weights", [(1, 1, 1), (1, 3, 6), (100, 1)])
def test_least_request_shares_by_weight_when_nobody_is_busy(weights: tuple[int, ...]) -> None:
    members = [Member(str(weight), weight) for weight in weights]
    choose = LeastRequest(members, random.Random(7).random)
    picked = Counter(id(choose.pick(ASK)) for _ in range(20_000))
    for member in members:
        assert picked[id(member)] / 20_000 == pytest.approx(member.weight / sum(weights), abs=0.015)


def test_least_request_prefers_the_less_busy_for_its_weight() -> None:
    busy, free = Member("busy", 1, 10), Member("free", 1, 0)
    choose = LeastRequest([busy, free])
    assert {choose.pick(ASK).name for _ in range(50)} == {"free"}
    strong, weak = Member("strong", 10, 15), Member("weak", 1, 2)
    choose = LeastRequest([strong, weak])
    assert {choose.pick(ASK).name for _ in range(50)} == {"strong"}  # 1.5 a unit of weight against 2


def test_least_request_levels_the_load() -> None:
    members = [Member(str(i)) for i in range(10)]
    choose = LeastRequest(members, random.Random(7).random)
    for _ in range(1_000):
        choose.pick(ASK).in_flight += 1
    assert max(member.in_flight for member in members) - min(member.in_flight for member in members) <= 6


def test_a_member_on_trial_is_passed_over_for_what_it_may_not_take() -> None:
    choose = LeastRequest([Member("new", share=0.2), Member("old")], random.Random(7).random)
    picked = Counter(choose.pick(ASK).name for _ in range(5_000))
    assert picked["new"] / 5_000 == pytest.approx(0.5 * 0.2, abs=0.02)
