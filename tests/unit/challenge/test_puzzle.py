"""Puzzles: signed, bound, short-lived, and checked without having been kept."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.challenge.puzzle import Proof, Puzzles, zero_bits
from tests.support.challenge import solve, wrong

NOW = 1_800_000_000.5
WHO = b"192.0.2.7/32\0Mozilla/5.0"
PUZZLES = Puzzles(b"s" * 32, 240)


def test_an_answer_proves_the_work_and_a_puzzle_without_one_its_age() -> None:
    puzzle = PUZZLES.make(9, WHO, NOW)
    assert PUZZLES.check(solve(puzzle), WHO, NOW + 1) == Proof(9, 1_800_000_000, True)
    assert PUZZLES.check(puzzle, WHO, NOW + 1) == Proof(9, 1_800_000_000, False)


def test_a_wrong_answer_proves_nothing() -> None:
    assert PUZZLES.check(wrong(PUZZLES.make(12, WHO, NOW)), WHO, NOW) is None


def test_an_answer_can_be_shown_again_and_proves_the_same() -> None:
    answered = solve(PUZZLES.make(8, WHO, NOW))
    assert PUZZLES.check(answered, WHO, NOW + 1) == PUZZLES.check(answered, WHO, NOW + 200)


@pytest.mark.parametrize(("later", "taken"), [(-29, True), (-32, False), (0, True), (239, True), (241, False)])
def test_a_puzzle_has_its_time_and_clocks_may_differ_a_little(later: float, taken: bool) -> None:
    assert (PUZZLES.check(PUZZLES.make(8, WHO, NOW), WHO, NOW + later) is not None) is taken


def test_it_is_nobody_elses_and_of_no_other_secret() -> None:
    puzzle = PUZZLES.make(8, WHO, NOW)
    assert PUZZLES.check(puzzle, b"192.0.2.8/32\0Mozilla/5.0", NOW) is None
    assert PUZZLES.check(puzzle, b"192.0.2.7/32\0Mozilla/5.1", NOW) is None
    assert Puzzles(b"t" * 32, 240).check(puzzle, WHO, NOW) is None


def test_neither_its_bits_nor_its_time_can_be_changed() -> None:
    version, issued, _, seed = PUZZLES.make(20, WHO, NOW).split(b".")
    assert PUZZLES.check(b".".join((version, issued, b"8", seed)), WHO, NOW) is None
    assert PUZZLES.check(b".".join((version, b"1800000009", b"20", seed)), WHO, NOW) is None
    assert PUZZLES.check(b".".join((version, b"0" + issued, b"20", seed)), WHO, NOW) is None


@given(st.binary(max_size=200) | st.text(alphabet="01.9af", max_size=120).map(str.encode))
def test_what_was_made_up_proves_nothing_and_raises_nothing(text: bytes) -> None:
    assert PUZZLES.check(text, WHO, NOW) is None


@given(st.data())
def test_a_puzzle_with_any_byte_changed_proves_nothing(data: st.DataObject) -> None:
    puzzle = PUZZLES.make(8, WHO, NOW)
    place = data.draw(st.integers(0, len(puzzle) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != puzzle[place]))
    assert PUZZLES.check(puzzle[:place] + bytes((byte,)) + puzzle[place + 1 :], WHO, NOW) is None


@given(st.binary(max_size=80))
def test_zero_bits_are_those_the_digest_begins_with(data: bytes) -> None:
    digits = f"{int(sha256(data).hexdigest(), 16):0256b}"
    assert zero_bits(data) == len(digits) - len(digits.lstrip("0"))
