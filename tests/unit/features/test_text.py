"""Text as numbers."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.features.text import BINS, LONGEST_RUN, MOST, RUN_BINS, vector

SENTENCE = "The cache answers what it has."


def test_a_text_is_4096_numbers_each_part_of_them_one_long() -> None:
    numbers = vector(SENTENCE)
    assert (numbers.shape, numbers.dtype) == ((BINS,), np.float32)
    assert np.linalg.norm(numbers[:RUN_BINS]) == pytest.approx(1)
    assert np.linalg.norm(numbers[RUN_BINS:]) == pytest.approx(1)


def test_a_model_trained_with_these_numbers_gets_these_numbers() -> None:
    """Those of text/1 may not change: the files that were trained with them would answer nonsense."""
    numbers = vector("Über Caches")
    filled = np.flatnonzero(numbers)
    assert (len(filled), filled[:8].tolist(), filled[-2:].tolist()) == (
        44,
        [4, 17, 43, 133, 153, 221, 301, 360],
        [3208, 4027],
    )
    assert numbers.sum() == pytest.approx(7.836855)


def test_the_numbers_are_the_same_in_every_process() -> None:
    code = f"from edgeproxy.features.text import vector; print(vector({SENTENCE!r}).tobytes().hex())"
    told = subprocess.run(
        [sys.executable, "-c", code], env={"PYTHONHASHSEED": "7"}, capture_output=True, text=True, check=True
    )
    assert bytes.fromhex(told.stdout) == vector(SENTENCE).tobytes()


@pytest.mark.parametrize(
    "other", ["THE CACHE\tanswers\r\nwhat it has", "the cache, answers: what it 2 has!", "…" + SENTENCE]
)
def test_case_digits_spaces_and_punctuation_do_not_count(other: str) -> None:
    assert np.array_equal(vector(other), vector(SENTENCE))


@pytest.mark.parametrize("text", ["", "   ", "12 + 30 = 42!", "\x00\x1b"])
def test_where_there_is_no_letter_there_are_zeros(text: str) -> None:
    assert not vector(text).any()


def test_words_are_counted_beside_the_runs_that_cross_them() -> None:
    apart, together = vector("to gether"), vector("together")
    assert not np.array_equal(apart[:RUN_BINS], together[:RUN_BINS])
    assert not (apart[RUN_BINS:] * together[RUN_BINS:]).any()
    assert np.array_equal(vector("gether to")[RUN_BINS:], apart[RUN_BINS:])


def test_a_run_is_up_to_four_characters() -> None:
    """A word of one letter has six runs: two spaces, "x", " x", "x ", " x "; each letter more has LONGEST_RUN more."""
    assert sorted(shares("x")) == pytest.approx([1 / 6] * 4 + [2 / 6])
    assert max(shares("xyzuv")) == pytest.approx(2 / (7 + 6 + 5 + 4))
    assert LONGEST_RUN == 4


def test_what_follows_the_first_4096_characters_is_not_looked_at() -> None:
    text = "ab " * (MOST // 3) + "a"
    assert np.array_equal(vector(text + "unheard of"), vector(text))


@given(st.text(st.characters(exclude_categories=()), max_size=300))
def test_any_text_has_finite_numbers_lone_surrogates_too(text: str) -> None:
    numbers = vector(text)
    assert numbers.shape == (BINS,)
    assert np.isfinite(numbers).all()
    assert (numbers >= 0).all()


def shares(text: str) -> list[float]:
    counted = vector(text)[:RUN_BINS].astype(float) ** 2
    return [float(share) for share in counted[counted > 0]]
