"""Questions on the wire, both ways."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.oip.envelope import LENGTH
from edgeproxy.oip.request import decode, encode
from edgeproxy.tensors import ANY, Spec, TensorError

X = Spec("x", "FP32", (ANY, 2))
T = Spec("t", "BYTES", (1,))
SPECS = {"x": X, "t": T}
TENSORS = {"x": np.array([[1, 2]], np.float32), "t": np.array(["é"], object)}


def question(**changes: Any) -> bytes:
    """The example's JSON, with some of it changed; None leaves out."""
    whole = {"inputs": [{"name": "x", "shape": [1, 2], "datatype": "FP32", "data": [1, 2]}], **changes}
    return json.dumps({name: value for name, value in whole.items() if value is not None}).encode()


def refusal(body: bytes) -> str:
    with pytest.raises(TensorError) as refused:
        decode({}, body, {"x": X}, ("y", "z"))
    return str(refused.value)


@pytest.mark.parametrize("binary", [True, False])
def test_a_question_arrives_as_it_was_asked(binary: bool) -> None:
    fields, body = encode(TENSORS, ("z",), binary=binary, id="7")
    assert (LENGTH in fields) is binary
    asked = decode(fields, body, SPECS, ("y", "z"))
    assert asked.id == "7"
    assert {name: array.tolist() for name, array in asked.tensors.items()} == {"x": [[1.0, 2.0]], "t": ["é"]}
    assert asked.outputs == {"z": binary}
    assert asked.binary is binary


def test_without_outputs_all_are_wanted() -> None:
    asked = decode({}, question(), {"x": X}, ("y",))
    assert (asked.id, asked.outputs, asked.binary) == ("", {}, False)


def test_an_output_may_be_wanted_in_another_form_than_the_others() -> None:
    outputs = [{"name": "z", "parameters": {"binary_data": False}}, {"name": "y", "parameters": {"classification": 2}}]
    asked = decode({}, question(outputs=outputs, parameters={"binary_data_output": True}), {"x": X}, ("y", "z"))
    assert list(asked.outputs.items()) == [("z", False), ("y", True)]


@pytest.mark.parametrize(
    ("changes", "why"),
    [
        ({"inputs": None}, "inputs is not a list"),
        ({"id": 1}, "the id is no text"),
        ({"id": "i" * 257}, "the id is no text"),
        ({"outputs": {}}, "outputs is not a list"),
        ({"outputs": [{"name": "y"}] * 65}, "outputs is not a list"),
        ({"outputs": ["y"]}, "outputs names each"),
        ({"outputs": [{"name": "w"}]}, "known are y, z"),
        ({"outputs": [{"name": ["y"]}]}, "outputs names each"),
        ({"outputs": [{"name": "y"}, {"name": "y"}]}, "outputs names each"),
        ({"outputs": [{"name": "y", "parameters": {"binary_data": 1}}]}, "output 'y': the parameter binary_data"),
        ({"parameters": {"binary_data_output": "yes"}}, "the parameter binary_data_output"),
        ({"parameters": []}, "the parameter binary_data_output"),
    ],
)
def test_what_is_no_question_is_refused_with_the_reason(changes: dict[str, Any], why: str) -> None:
    assert why in refusal(question(**changes))


def test_an_input_that_is_missing_is_named() -> None:
    with pytest.raises(TensorError, match="input 't' is missing"):
        decode({}, question(), SPECS, ("y",))


def test_a_free_axis_is_no_longer_than_allowed() -> None:
    body = question(inputs=[{"name": "x", "shape": [3, 2], "datatype": "FP32", "data": [0] * 6}])
    assert decode({}, body, {"x": X}, ("y",), longest=3).tensors["x"].shape == (3, 2)
    with pytest.raises(TensorError, match="longer than 2"):
        decode({}, body, {"x": X}, ("y",), longest=2)


@given(st.data())
def test_a_question_with_bytes_changed_raises_nothing_else(data: st.DataObject) -> None:
    fields, whole = encode(TENSORS, ("y",), binary=data.draw(st.booleans()))
    body = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        asked = decode(fields, bytes(body[: data.draw(st.integers(0, len(body)))]), SPECS, ("y", "z"))
    except TensorError:
        return
    assert asked.tensors.keys() == SPECS.keys()
