"""Plain questions and answers."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.features import table
from edgeproxy.http.message import Request
from edgeproxy.inference.manifest import InputSpec, Manifest
from edgeproxy.inference.plain import Plain, UnsuitedError
from edgeproxy.inference.version import Outcome
from edgeproxy.tensors import Array, TensorError, Tensors
from tests.support.oracle import HEAD, SCORE, TEXT, labelled, manifest

X = {"name": "x", "kind": "FP32", "shape": [-1, 4]}
PIXELS = {"name": "pixels", "kind": "UINT8", "shape": [-1, 3, 1, 1], "pixels": {"width": 1, "height": 1}}


@pytest.fixture(autouse=True)
def head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.TABLE, "head/1", table.Row("request", "tests.support.oracle", "head"))


async def decode(content: bytes, spec: InputSpec) -> Array:
    if not content.startswith(b"picture"):
        raise ValueError("the picture is not taken: it cannot be decoded")
    return np.array([[[[1]], [[2]], [[3]]]], np.uint8)


async def read(content: bytes | Any, kind: str = "application/json", *inputs: Any) -> Tensors:
    body = content if isinstance(content, bytes) else json.dumps(content).encode()
    asked = Request(b"POST", b"/", {b"content-type": kind.encode(), b"user-agent": b"Mozilla/5.0"})
    return await Plain(manifest(inputs=inputs or (X,)), decode).read(asked, body)


async def values(content: Any, *inputs: Any) -> Any:
    (array,) = (await read(content, "application/json", *inputs)).values()
    return array.tolist()


@pytest.mark.parametrize(
    "content",
    [{"input": [1, 2, 3, 4]}, {"x": [1, 2, 3, 4]}, {"x": [[1, 2, 3, 4]]}, {"x": [[[1], [2], [3], [4]]]}],
    ids=str,
)
async def test_values_are_one_row_however_they_are_nested(content: Any) -> None:
    assert await values(content) == [[1, 2, 3, 4]]


async def test_a_length_that_is_free_is_what_there_is() -> None:
    spec = {"name": "x", "kind": "INT8", "shape": [-1, -1, 2]}
    assert await values({"x": [1, 2, 3, 4]}, spec) == [[[1, 2], [3, 4]]]
    assert await values({"x": 7}, {"name": "x", "kind": "INT8", "shape": [-1]}) == [7]


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({}, "a value for each of x"),
        ({"y": [1]}, "a value for each of x"),
        ({"x": [1, 2, 3, 4], "y": 1}, "a value for each of x"),
        ({"x": [1, 2, 3]}, r"'x' has 3 values; wanted is x FP32\[\?, 4\]"),
        ({"x": []}, "'x' has 0 values"),
        ({"x": [[1, 2, 3, 4], [1, 2, 3, 4]]}, "'x' has 8 values"),
        ({"x": [[1, 2], [3, 4]]}, r"'x' is nested as \[2, 2\]"),
        ({"x": [[1, 2], [3]]}, "'x' is not nested"),
        ({"x": ["a", "b", "c", "d"]}, "'x' holds what is no FP32"),
        ({"x": {"a": 1}}, "'x' has 1 values"),
        ({"x": None}, "'x' has 1 values"),
        ({"input": "a text"}, "'x' has 1 values"),
    ],
    ids=str,
)
async def test_values_that_do_not_fit_are_refused_with_the_reason(content: Any, why: str) -> None:
    with pytest.raises(TensorError, match=why):
        await values(content)


async def test_two_free_lengths_leave_the_shape_open() -> None:
    with pytest.raises(TensorError, match="more free lengths than one"):
        await values({"x": [1, 2]}, {"name": "x", "kind": "INT8", "shape": [-1, -1, -1]})


async def test_a_text_is_a_text_in_json_or_alone() -> None:
    for content, kind in (("é".encode(), "text/plain; charset=utf-8"), ({"input": "é"}, "application/json")):
        assert (await read(content, kind, TEXT))["text"].tolist() == ["é"]


async def test_a_picture_is_decoded() -> None:
    assert (await read(b"picture", "image/png", PIXELS))["pixels"].reshape(-1).tolist() == [1, 2, 3]
    with pytest.raises(TensorError, match="cannot be decoded"):
        await read(b"noise", "image/png", PIXELS)


async def test_without_a_body_the_question_is_about_the_request() -> None:
    assert (await read(b"", "", HEAD))["features"].tolist() == [[1, 2]]
    with pytest.raises(TensorError, match="there is no body"):
        await read(b"", "", X)


@pytest.mark.parametrize(
    ("kind", "spec", "takes"),
    [
        ("text/plain", X, "application/json"),
        ("", X, "application/json"),
        ("image/png", TEXT, "application/json, text/plain"),
        ("text/html", TEXT, "application/json, text/plain"),
        ("image/svg+xml", PIXELS, "application/json, image/jpeg, image/png, image/webp, image/avif, image/gif"),
    ],
)
async def test_another_type_is_refused_with_those_that_are_taken(kind: str, spec: Any, takes: str) -> None:
    with pytest.raises(UnsuitedError) as refused:
        await read(b"content", kind, spec)
    assert str(refused.value) == f"what the model takes here is {takes}"


def told(made: Manifest, **tensors: Any) -> Any:
    outcome = Outcome({name: np.array(value, np.float32) for name, value in tensors.items()}, "m", "3", "edge", 0.0)
    return json.loads(Plain(made, decode).write(outcome))


def test_an_answer_tells_labels_and_who_gave_it() -> None:
    assert told(manifest(outputs=(labelled("a", "b"),)), label=[[0.25, 0.75]]) == {
        "model": "m",
        "version": "3",
        "by": "edge",
        "labels": [{"label": "b", "probability": 0.75}, {"label": "a", "probability": 0.25}],
    }


def test_outputs_without_labels_are_told_as_they_are() -> None:
    made = manifest(outputs=(SCORE, labelled("a", "b")))
    answer = told(made, score=[[0.5]], label=[[0.0, 1.0]])
    assert answer["outputs"] == {"score": [[0.5]]}
    assert [each["label"] for each in answer["labels"]] == ["b", "a"]


@pytest.mark.parametrize("outputs", [(SCORE,), (labelled("a", "b", name="score"),)], ids=["number", "labels"])
def test_what_is_no_number_is_refused(outputs: Any) -> None:
    with pytest.raises(TensorError, match="no number that JSON has"):
        told(manifest(outputs=outputs), score=[[float("nan"), 1.0]])


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=3),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.sampled_from(["x", "input", "y"]), inner, max_size=2)
    ),
    max_leaves=8,
)


@given(
    st.dictionaries(st.sampled_from(["x", "input", "y"]), JSON, max_size=2), st.sampled_from([[-1, 2], [-1, -1], []])
)
async def test_questions_of_strangers_raise_nothing_else(content: Any, shape: list[int]) -> None:
    try:
        array = (await read(content, "application/json", {"name": "x", "kind": "FP32", "shape": shape}))["x"]
    except TensorError:
        return
    assert len(array.shape) == len(shape)
