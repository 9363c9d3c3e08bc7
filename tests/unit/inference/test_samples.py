"""Samples become tensors, and answers are held against them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

from edgeproxy.inference.samples import answer, array, differs, question
from edgeproxy.tensors import ANY, KINDS, Spec, TensorError


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("FP32", [0.5, 1, 2, 3]),
        ("FP16", [0.5, 1, 2, 3]),
        ("INT8", [-128, 127, 0, 1]),
        ("UINT64", [0, (1 << 64) - 1, 5, 6]),
        ("BOOL", [True, False, 1, 0]),
        ("BYTES", ["a", "", "ü", "d"]),
    ],
)
def test_flat_values_take_their_shape(kind: str, values: list[Any]) -> None:
    made = array(Spec("x", kind, (ANY, 2, 2)), values)
    assert made.shape == (1, 2, 2)
    assert made.dtype == KINDS[kind].dtype
    assert made.ravel().tolist() == values


@pytest.mark.parametrize(
    ("kind", "values"),
    [
        ("FP32", ["0.5"]),
        ("FP32", [1e39]),
        ("FP16", [1e6]),
        ("FP64", [math.nan]),
        ("FP32", [[1.0]]),
        ("FP32", [None]),
        ("INT8", [128]),
        ("UINT8", [-1]),
        ("INT64", [1 << 63]),
        ("INT32", [0.5]),
        ("BOOL", [2]),
        ("BYTES", [1]),
    ],
)
def test_values_that_are_not_of_the_type_are_refused(kind: str, values: list[Any]) -> None:
    with pytest.raises(TensorError, match=f"x: not all of its values are {kind}"):
        array(Spec("x", kind, (1,)), values)


def test_a_seed_draws_by_the_kinds_of_the_inputs() -> None:
    specs = [
        Spec("a", "UINT8", (ANY, 1000)),
        Spec("b", "INT64", (50,)),
        Spec("c", "FP32", (3,)),
        Spec("d", "BOOL", (9,)),
    ]
    drawn = question(specs, {}, 7)
    same = np.random.default_rng(7)
    assert np.array_equal(drawn["a"], same.integers(0, 256, (1, 1000)).astype(np.uint8))
    assert np.array_equal(drawn["b"], same.integers(0, 2, 50))
    assert np.array_equal(drawn["c"], same.random(3).astype(np.float32))
    assert drawn["d"].dtype == bool
    assert all(np.array_equal(drawn[name], each) for name, each in question(specs, {}, 7).items())


def test_texts_and_what_is_too_large_cannot_be_drawn() -> None:
    with pytest.raises(TensorError, match="texts cannot be drawn by a seed"):
        question([Spec("x", "BYTES", (1,))], {}, 7)
    with pytest.raises(TensorError, match="too many for a sample"):
        question([Spec("x", "FP32", (1 << 40, 1 << 40))], {}, 7)


def test_the_first_values_of_an_answer_are_told_as_json_has_them() -> None:
    told = {"y": np.array([[1.5, 2], [3, 4]], np.float32), "z": np.array(["a", b"b"], object), "more": np.zeros(9)}
    assert answer(told, {"y": 3, "z": 2}) == {"y": [1.5, 2.0, 3.0], "z": ["a", "b"]}


def test_answers_within_reach_are_the_same() -> None:
    assert differs({"y": [0.5004, 7.0], "z": ["a"]}, {"y": [0.5], "z": ["a"]}, 1e-3) == ""


@pytest.mark.parametrize(
    ("told", "said"),
    [
        ({"y": [0.6, 1]}, r"y\[0\] is 0.6; the manifest has 0.5"),
        ({"y": [0.5, math.nan]}, r"y\[1\] is nan; the manifest has 1"),
        ({"y": [0.5, math.inf]}, r"y\[1\] is inf"),
        ({"y": [0.5, "1"]}, r"y\[1\] is '1'; the manifest has 1"),
        ({"y": [0.5, None]}, r"y\[1\] is None"),
        ({"y": [0.5, [1]]}, r"y\[1\] is \[1\]"),
        ({"y": [0.5]}, "'y' has 1 values; the manifest has 2"),
        ({}, "'y' has 0 values"),
    ],
)
def test_others_are_not_and_it_is_said_where(told: dict[str, list[Any]], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        raise AssertionError(differs(told, {"y": [0.5, 1]}, 1e-3))
