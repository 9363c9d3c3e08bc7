"""Outputs as labels and probabilities."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeproxy.inference.manifest import OutputSpec
from edgeproxy.inference.meaning import likeliest, probabilities


def spec(*labels: str, **more: Any) -> OutputSpec:
    return OutputSpec.model_validate(
        {"name": "y", "kind": "FP32", "shape": [-1, len(labels)], "labels": list(labels), **more}
    )


def test_the_likeliest_come_first_and_no_more_than_are_to_be_told() -> None:
    told = likeliest(spec("a", "b", "c", top=2), np.array([[0.25, 0.5, 0.125]], np.float32))
    assert told == [("b", 0.5), ("a", 0.25)]


def test_equals_stand_in_the_order_of_the_labels() -> None:
    assert [each.label for each in likeliest(spec("a", "b", "c"), np.array([0.0, 1.0, 1.0]))] == ["b", "c", "a"]


def test_logits_become_probabilities_however_large_they_are() -> None:
    told = likeliest(spec("a", "b", softmax=True), np.array([[1000, 1000 + np.log(3)]], np.float32))
    assert [label for label, _ in told] == ["b", "a"]
    assert [value for _, value in told] == pytest.approx([0.75, 0.25], abs=1e-3)
    assert probabilities(np.array([-np.inf, 0.0])).tolist() == [0, 1]


def test_whole_numbers_are_ranked_as_they_are() -> None:
    assert likeliest(spec("a", "b"), np.array([[0, 255]], np.uint8)) == [("b", 255.0), ("a", 0.0)]


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0, 3.0]])
def test_other_numbers_of_values_than_of_labels_are_refused(values: list[float]) -> None:
    with pytest.raises(ValueError, match=f"output 'y' has {len(values)} values for 2 labels"):
        likeliest(spec("a", "b"), np.array(values))


@pytest.mark.parametrize("softmax", [True, False])
def test_what_is_no_number_is_no_label(softmax: bool) -> None:
    with pytest.raises(ValueError, match="no number"):
        likeliest(spec("a", "b", softmax=softmax), np.array([np.nan, 1.0]))
