"""Outputs read as a word and a number."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.inference.reading import LONGEST, PLACEHOLDERS, Reading, ReadingError, Told, token
from edgeproxy.inference.version import Outcome
from edgeproxy.pipeline.template import compile_template
from tests.support.oracle import SCORE, labelled, manifest


def outcome(name: str, *values: Any, kind: Any = np.float32) -> Outcome:
    return Outcome({name: np.array([values], kind)}, "score", "3", "regional", 0.0)


def test_a_number_is_read_as_it_is() -> None:
    told = Reading(manifest()).of(outcome("score", 0.25))
    assert told == Told("", 0.25, "score", "3", "regional")


def test_of_labels_the_likeliest_counts_or_the_one_that_is_asked_for() -> None:
    described = manifest(outputs=[labelled("cat", "dog", "a bird")])
    assert Reading(described).of(outcome("label", 0.2, 0.1, 0.7))[:2] == ("a-bird", pytest.approx(0.7))
    assert Reading(described, label="dog").of(outcome("label", 0.2, 0.1, 0.7))[:2] == ("dog", pytest.approx(0.1))


def test_logits_become_probabilities() -> None:
    described = manifest(outputs=[labelled("a", "b", softmax=True)])
    told = Reading(described, label="a").of(outcome("label", 1000.0, 1000.0 + np.log(3)))
    assert told.value == pytest.approx(0.25, abs=1e-4)


def test_a_word_is_read_as_a_label() -> None:
    described = manifest(outputs=[{"name": "word", "kind": "BYTES", "shape": [-1]}])
    assert Reading(described).of(outcome("word", "en us", kind=object))[:2] == ("en-us", 1.0)
    assert Reading(described).of(outcome("word", b"d\xffe", kind=object))[:2] == ("d-e", 1.0)


def test_another_output_than_the_first_may_be_read() -> None:
    described = manifest(outputs=[SCORE, labelled("a", "b")])
    assert Reading(described, "label").of(outcome("label", 0.9, 0.1)).label == "a"


@pytest.mark.parametrize(
    ("output", "label", "why"),
    [
        ("other", "", "'score' has no output 'other'; known are label"),
        ("", "cow", "the output 'label' of 'score' has no label 'cow'; known are a, b"),
    ],
)
def test_what_the_model_does_not_have_is_refused(output: str, label: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Reading(manifest(outputs=[labelled("a", "b")]), output, label)


@pytest.mark.parametrize(
    "answered",
    [outcome("other", 1.0), outcome("label", 1.0), outcome("label"), outcome("label", float("nan"), 0.0)],
    ids=repr,
)
def test_what_makes_no_sense_is_an_error(answered: Outcome) -> None:
    with pytest.raises(ReadingError):
        Reading(manifest(outputs=[labelled("a", "b")])).of(answered)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_what_is_no_number_is_an_error(value: float) -> None:
    with pytest.raises(ReadingError, match="is no number"):
        Reading(manifest()).of(outcome("score", value))


@given(st.text(max_size=200))
def test_any_label_becomes_a_token(label: str) -> None:
    told = token(label)
    assert 0 < len(told) <= LONGEST
    assert told.isascii()
    assert not set(told) & set(" ,\r\n\0\"'<>")


def test_what_is_told_can_be_said() -> None:
    said = compile_template("{label} {value} {model} {version} {by}", PLACEHOLDERS)
    assert said(Told("cat", 0.123456, "animals", "2", "edge")) == b"cat 0.1235 animals 2 edge"
