"""Who goes by a model, and how long."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from math import log

import pytest

from edgeproxy.balance.ask import Ask, Choice
from edgeproxy.balance.learned import (
    BY_DRAW,
    BY_MODEL,
    ENOUGH,
    EXPLORED,
    OTHER,
    SAME,
    UNANSWERED,
    Learned,
    Predict,
    Trust,
)
from edgeproxy.balance.rows import NAMES
from tests.support.members import Member

IN_HAND = NAMES.index("in hand")


def busiest_first(rows: list[list[float]]) -> Sequence[float]:
    """A model with an opinion of its own: who has more in hand is faster."""
    return [-given[IN_HAND] for given in rows]


def trusted() -> Trust:
    trust = Trust()
    trust.answers, trust.model, trust.plain, trust.deserved = ENOUGH, 0.1, 0.2, True
    return trust


def members(*in_flight: int) -> list[Member]:
    made = [Member(f"{count}", in_flight=count) for count in in_flight]
    for member in made:
        member.pace.took(2, 0.1, 0.0)
    return made


def picks(choose: Learned[Member], count: int = 2_000) -> Counter[str]:
    return Counter(choose.pick(Ask(0.0, 2)).name for _ in range(count))


def test_a_trusted_model_is_gone_by_but_for_what_is_explored() -> None:
    picked = picks(Learned(members(0, 3, 9), busiest_first, trusted(), random.Random(7).random))
    assert picked["9"] / 2_000 == pytest.approx(1 - EXPLORED * 2 / 3, abs=0.01)
    assert 0 < picked["0"] < 50


def test_of_those_that_seem_equal_the_less_busy_is_taken() -> None:
    choose = Learned(members(0, 1, 9), lambda rows: [0.0] * len(rows), trusted(), random.Random(7).random)
    assert picks(choose)["0"] > 1_900


def test_of_many_members_some_are_looked_at() -> None:
    seen: list[int] = []

    def predict(rows: list[list[float]]) -> Sequence[float]:
        seen.append(len(rows))
        return [0.0] * len(rows)

    many = [Member(f"{number}") for number in range(40)]
    choose = Learned(many, predict, trusted(), random.Random(7).random)
    assert len(picks(choose, 500)) > 30
    assert set(seen) == {10}


@pytest.mark.parametrize("shadow", [True, False])
def test_the_default_decides_where_the_model_may_not(shadow: bool) -> None:
    choose = Learned(members(0, 3, 9), busiest_first, trusted() if shadow else Trust(), shadow=shadow, explored=1.0)
    assert set(picks(choose, 200)) == {"0"}


def test_where_the_model_says_nothing_the_default_decides() -> None:
    for trust in (trusted(), Trust()):
        ask = Ask(0.0, 2)
        chosen = Learned(members(0, 3, 9), lambda _: None, trust).pick(ask)
        assert chosen.name == "0"
        assert ask.choice is not None
        assert (ask.choice.key, ask.choice.by, ask.choice.predicted) == (b"0", UNANSWERED, None)


def choice(choose: Learned[Member]) -> Choice:
    ask = Ask(0.0, 2)
    chosen = choose.pick(ask)
    assert ask.choice is not None
    assert ask.choice.key == chosen.key
    assert ask.choice.row[IN_HAND] == chosen.in_flight
    return ask.choice


def test_who_chose_is_told_with_what_was_known_and_predicted() -> None:
    made = choice(Learned(members(0, 9), busiest_first, trusted(), explored=0.0))
    assert (made.by, made.key, made.predicted) == (BY_MODEL, b"9", -9.0)
    assert made.row[0] == pytest.approx(log(0.1))
    assert choice(Learned(members(0, 9), busiest_first, trusted(), explored=1.0)).by == BY_DRAW


def test_in_shadow_it_is_told_whether_the_model_would_have_chosen_another() -> None:
    made = choice(Learned(members(0, 9), busiest_first, trusted(), shadow=True))
    assert (made.by, made.key, made.predicted) == (OTHER, b"0", 0.0)
    agreed = choice(Learned(members(0, 9), lambda rows: [given[IN_HAND] for given in rows], trusted(), shadow=True))
    assert (agreed.by, agreed.key) == (SAME, b"0")


def test_in_shadow_of_many_members_the_one_taken_is_among_those_the_model_is_asked_about() -> None:
    many = [Member(f"{number}", in_flight=number) for number in range(40)]
    choose = Learned(many, busiest_first, Trust(), random.Random(7).random, shadow=True)
    assert {choice(choose).by for _ in range(100)} == {OTHER}


def test_weights_are_heeded() -> None:
    pool = members(0, 0)
    pool[1].weight, pool[1].name = 3, "heavy"
    assert set(picks(Learned(pool, lambda rows: [0.0] * len(rows), trusted(), explored=0.0), 100)) == {"heavy"}


def answered(trust: Trust, predicted: float, expected: float, seconds: float, count: int) -> None:
    for _ in range(count):
        trust.took(Choice(b"", [log(expected)], log(predicted), BY_MODEL), seconds)


def test_trust_is_earned_and_lost() -> None:
    trust = Trust()
    answered(trust, 0.2, 0.4, 0.2, ENOUGH - 1)
    assert not trust.deserved
    answered(trust, 0.2, 0.4, 0.2, 1)
    assert trust.deserved
    answered(trust, 9.0, 0.25, 0.2, 300)  # the world has changed
    assert not trust.deserved
    answered(trust, 0.2, 0.4, 0.2, 2_000)  # it was trained anew
    assert trust.deserved
    assert "of the model" in repr(trust)


def test_trust_does_not_change_sides_with_every_answer() -> None:
    """To be about as good is not enough to come, and enough to stay."""
    trust = Trust()
    answered(trust, 0.3, 0.3, 0.2, 2 * ENOUGH)
    assert not trust.deserved
    answered(trust, 0.2, 0.3, 0.2, 100)
    assert trust.deserved
    answered(trust, 0.3, 0.3, 0.2, 2_000)
    assert trust.deserved


def test_no_single_answer_is_further_off_than_a_bound() -> None:
    trust = Trust()
    trust.took(Choice(b"", [log(0.1)], 1e30, BY_MODEL), 0.1)
    assert trust.model == 10.0


@pytest.mark.parametrize("made", [Choice(b"", [log(0.2)], None, UNANSWERED), Choice(b"", [log(1e-6)], -1.0, BY_MODEL)])
def test_answers_nobody_made_a_prediction_for_say_nothing(made: Choice) -> None:
    trust = Trust()
    trust.took(made, 0.5)
    assert trust.answers == 0


def test_a_member_on_trial_is_passed_over_for_what_it_may_not_take() -> None:
    pool = members(0, 9)
    pool[1].share = 0.1
    predict: Predict = busiest_first
    picked = picks(Learned(pool, predict, trusted(), random.Random(7).random), 4_000)
    assert picked["9"] / 4_000 == pytest.approx(0.1, abs=0.03)
