"""Of two the faster and less busy one."""

from __future__ import annotations

import random
from collections import Counter

import pytest

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.peak_ewma import PeakEwma
from tests.support.members import Member


def test_the_faster_of_two_is_taken() -> None:
    slow, fast = Member("slow"), Member("fast")
    slow.pace.took(0, 0.3, 0.0)
    fast.pace.took(0, 0.1, 0.0)
    choose = PeakEwma([slow, fast])
    assert {choose.pick(Ask(0.0)).name for _ in range(20)} == {"fast"}
    fast.in_flight = 3  # 0.4 against 0.3
    assert {choose.pick(Ask(0.0)).name for _ in range(20)} == {"slow"}


def test_one_slow_answer_is_enough_to_be_left_alone() -> None:
    was_fast, other = Member("was fast"), Member("other")
    for i in range(100):
        was_fast.pace.took(0, 0.01, i / 100)
        other.pace.took(0, 0.05, i / 100)
    choose = PeakEwma([was_fast, other])
    assert choose.pick(Ask(1.0)).name == "was fast"
    was_fast.pace.took(0, 2.0, 1.0)
    assert {choose.pick(Ask(1.0)).name for _ in range(20)} == {"other"}


def test_who_has_not_answered_yet_gets_one_request() -> None:
    known, new = Member("known"), Member("new")
    known.pace.took(0, 0.1, 0.0)
    choose = PeakEwma([known, new])
    assert choose.pick(Ask(0.0)).name == "new"
    new.in_flight = 1
    assert {choose.pick(Ask(0.0)).name for _ in range(20)} == {"known"}


def test_weight_counts() -> None:
    light, heavy = Member("light"), Member("heavy", 3)
    for member in (light, heavy):
        member.pace.took(0, 0.1, 0.0)
        member.in_flight = 1
    choose = PeakEwma([light, heavy])
    assert {choose.pick(Ask(0.0)).name for _ in range(20)} == {"heavy"}


def test_a_member_on_trial_is_passed_over_for_what_it_may_not_take() -> None:
    choose = PeakEwma([Member("new", share=0.2), Member("old")], random.Random(7).random)
    picked = Counter(choose.pick(Ask(0.0)).name for _ in range(5_000))
    assert picked["new"] / 5_000 == pytest.approx(0.5 * 0.2, abs=0.02)
