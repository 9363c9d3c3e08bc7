"""Questions are put together and taken apart again, each with its own rows."""

from __future__ import annotations

import numpy as np
import pytest

from edgeproxy.inference import batch
from edgeproxy.inference.manifest import Manifest
from edgeproxy.inference.session import RunError
from tests.support.models import SCORE, SLOW, manifest


def question(*rows: list[float]) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return {"features": np.array(rows, np.float32)}


def test_only_what_has_a_free_first_axis_everywhere_can_be_joined() -> None:
    assert batch.joinable(Manifest.model_validate(manifest("score", {"1": SCORE})))
    assert not batch.joinable(Manifest.model_validate(manifest("slow", {"1": SLOW})))


def test_each_gets_its_own_rows_back() -> None:
    one, two = question([1, 2], [3, 4]), question([5, 6])
    joined = batch.join([one, two])
    assert joined["features"].tolist() == [[1, 2], [3, 4], [5, 6]]
    parts = batch.split({"sum": joined["features"].sum(axis=1)}, [batch.rows(one), batch.rows(two)])
    assert [part["sum"].tolist() for part in parts] == [[3, 7], [11]]


def test_what_differs_in_more_than_rows_is_told_apart() -> None:
    assert batch.shape(question([1, 2])) == batch.shape(question([1, 2], [3, 4]))
    assert batch.shape(question([1, 2])) != batch.shape(question([1, 2, 3]))
    uneven = {"a": np.zeros((2, 1)), "b": np.zeros((3, 1))}
    assert batch.shape(uneven) == ()
    assert batch.rows(uneven) == 3


def test_an_answer_with_other_rows_is_no_answer() -> None:
    with pytest.raises(RunError, match="3 rows"):
        batch.split({"sum": np.zeros(2)}, [1, 2])


def test_how_large_a_question_is_goes_by_its_free_lengths() -> None:
    told = Manifest.model_validate(manifest("score", {"1": SCORE}))
    assert [batch.size(told, question(*[[0, 0, 0, 0]] * count)) for count in (1, 3)] == [1, 3]
    inputs = [{"name": "a", "kind": "FP32", "shape": [-1, -1]}, {"name": "b", "kind": "FP32", "shape": [2]}]
    both = Manifest.model_validate(manifest("score", {"1": SCORE}, inputs=inputs))
    assert batch.size(both, {"a": np.zeros((2, 5)), "b": np.zeros(2)}) == 10
