"""The member expected to answer a kind first."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.class_ewma import ClassEwma
from edgeproxy.balance.pace import Usual
from tests.support.members import Member


def known(name: str, times: dict[int, float], usual: Usual, **settings: int) -> Member:
    member = Member(name, **settings)
    member.pace.usual = usual
    for kind, seconds in times.items():
        for i in range(20):
            member.pace.took(kind, seconds, i / 20)
    return member


def test_each_kind_goes_where_it_is_answered_first() -> None:
    usual = Usual()
    near = known("near and weak", {0: 0.004, 5: 0.9}, usual)
    far = known("far and strong", {0: 0.021, 5: 0.3}, usual)
    choose = ClassEwma([near, far])
    assert {choose.pick(Ask(1.0, 0)).name for _ in range(20)} == {"near and weak"}
    assert {choose.pick(Ask(1.0, 5)).name for _ in range(20)} == {"far and strong"}


def test_a_kind_nobody_knows_goes_where_others_are_answered_first() -> None:
    usual = Usual()
    fast, slow = known("fast", {2: 0.1}, usual), known("slow", {2: 0.25}, usual)
    choose = ClassEwma([slow, fast])
    assert {choose.pick(Ask(1.0, 6)).name for _ in range(20)} == {"fast"}


def test_what_is_in_hand_counts() -> None:
    usual = Usual()
    fast, slow = known("fast", {2: 0.1}, usual), known("slow", {2: 0.25}, usual)
    choose = ClassEwma([fast, slow])
    picked = []
    for _ in range(6):
        member = choose.pick(Ask(1.0, 2))
        member.in_flight += 1
        picked.append(member.name)
    assert Counter(picked) == {"fast": 4, "slow": 2}  # as 1/0.1 to 1/0.25, in whole requests


def test_weight_counts() -> None:
    usual = Usual()
    light, heavy = known("light", {2: 0.1}, usual), known("heavy", {2: 0.1}, usual, weight=4)
    choose = ClassEwma([light, heavy])
    for _ in range(50):
        choose.pick(Ask(1.0, 2)).in_flight += 1
    assert (light.in_flight, heavy.in_flight) == (10, 40)


def test_equals_share_by_chance() -> None:
    members = [Member(name) for name in "abcd"]
    choose = ClassEwma(members, random.Random(7).random)
    picked = Counter(choose.pick(Ask(0.0)).name for _ in range(4_000))
    assert all(count == pytest.approx(1_000, abs=120) for count in picked.values())


def test_of_many_members_the_slow_ones_are_left_alone() -> None:
    usual = Usual()
    members = [known(f"{i}", {1: 0.01 if i % 2 else 1.0}, usual) for i in range(100)]
    choose = ClassEwma(members, random.Random(7).random)
    picked = Counter(int(choose.pick(Ask(1.0, 1)).name) % 2 for _ in range(2_000))
    assert picked[0] < 20  # only when all ten that were drawn are slow


def test_every_one_of_many_members_is_found() -> None:
    members = [Member(f"{i}") for i in range(50)]
    choose = ClassEwma(members, random.Random(7).random)
    for _ in range(500):
        choose.pick(Ask(0.0)).in_flight += 1
    assert all(5 <= member.in_flight <= 15 for member in members)


def test_a_member_on_trial_is_passed_over_for_what_it_may_not_take() -> None:
    members = [Member("new", share=0.1), Member("a", in_flight=5), Member("b", in_flight=5)]
    choose = ClassEwma(members, random.Random(7).random)
    picked = Counter(choose.pick(Ask(0.0)).name for _ in range(5_000))
    assert picked["new"] / 5_000 == pytest.approx(0.1, abs=0.02)


def test_a_member_that_was_slow_is_tried_again() -> None:
    usual = Usual()
    members = [known("slow", {2: 3.0}, usual), known("fast", {2: 0.1}, usual)]
    choose = ClassEwma(members)
    members[1].in_flight = 3
    seen = set()
    for second in range(1, 120):
        seen.add(choose.pick(Ask(float(second), 2)).name)
        members[1].pace.took(2, 0.1, float(second))
    assert seen == {"slow", "fast"}
