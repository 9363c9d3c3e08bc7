"""Up soon, down late."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.floods.state import ATTACK, ELEVATED, NORMAL, Ladder, Thresholds

levels = st.integers(NORMAL, ATTACK)


def walk(ladder: Ladder, looks: list[tuple[int, int]], start: float = 0.0) -> list[int]:
    states = []
    for number, (entered, kept) in enumerate(looks):
        ladder.look(entered, kept, start + number)
        states.append(ladder.level)
    return states


def test_thresholds_for_staying_are_half_of_those_for_entering() -> None:
    thresholds = Thresholds(8, 16)
    assert [thresholds.entered(score) for score in (7.9, 8, 15.9, 16)] == [NORMAL, ELEVATED, ELEVATED, ATTACK]
    assert [thresholds.kept(score) for score in (3.9, 4, 7.9, 8)] == [NORMAL, ELEVATED, ELEVATED, ATTACK]


def test_one_look_is_not_enough() -> None:
    assert walk(Ladder(5), [(2, 2), (0, 0), (2, 2), (0, 0)]) == [0, 0, 0, 0]


def test_two_looks_in_a_row_raise_it_to_what_both_saw() -> None:
    assert walk(Ladder(5), [(1, 1), (2, 2), (2, 2)]) == [0, 1, 2]
    assert walk(Ladder(5), [(2, 2), (2, 2)]) == [0, 2]


def test_it_goes_down_a_step_at_a_time_each_after_the_calm() -> None:
    assert walk(Ladder(3), [(2, 2), (2, 2), *[(0, 0)] * 7]) == [0, 2, 2, 2, 1, 1, 1, 0, 0]


def test_what_still_holds_it_begins_the_calm_anew() -> None:
    assert walk(Ladder(3), [(1, 1), (1, 1), (0, 0), (0, 0), (0, 1), (0, 0), (0, 0), (0, 0)]) == [0, 1, 1, 1, 1, 1, 1, 0]


def test_a_state_that_was_taken_over_is_kept_for_the_calm() -> None:
    ladder = Ladder(3)
    ladder.restore(ATTACK, 90.0, 100.0)
    assert walk(ladder, [(0, 0)] * 4, 101.0) == [2, 2, 1, 1]


@given(st.lists(st.tuples(levels, levels), max_size=60))
def test_it_always_comes_back(looks: list[tuple[int, int]]) -> None:
    ladder = Ladder(4)
    walk(ladder, looks)
    assert walk(ladder, [(0, 0)] * 12, len(looks))[-1] == NORMAL


@given(st.lists(st.tuples(levels, levels, levels, levels), max_size=60))
def test_more_never_leads_to_less(looks: list[tuple[int, int, int, int]]) -> None:
    less, more = Ladder(4), Ladder(4)
    for number, (entered, kept, more_entered, more_kept) in enumerate(looks):
        kept = max(kept, entered)
        less.look(entered, kept, number)
        more.look(max(entered, more_entered), max(kept, more_kept, more_entered), number)
        assert more.level >= less.level
