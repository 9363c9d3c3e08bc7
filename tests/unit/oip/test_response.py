"""Answers on the wire, both ways."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.oip.envelope import LENGTH
from edgeproxy.oip.request import Question
from edgeproxy.oip.response import decode, encode, error
from edgeproxy.tensors import TensorError

TENSORS = {"y": np.array([[0.5, 0.25]], np.float32), "words": np.array(["a", "é"], object)}
ALL = Question("", {}, {}, binary=False)


def test_an_answer_is_what_the_protocol_says() -> None:
    fields, body = encode("m", "3", TENSORS, ALL._replace(id="7"))
    assert fields == {b"content-type": b"application/json"}
    assert json.loads(body) == {
        "model_name": "m",
        "model_version": "3",
        "id": "7",
        "outputs": [
            {"name": "y", "shape": [1, 2], "datatype": "FP32", "data": [0.5, 0.25]},
            {"name": "words", "shape": [2], "datatype": "BYTES", "data": ["a", "é"]},
        ],
    }


def test_without_an_id_there_is_none_in_the_answer() -> None:
    assert "id" not in json.loads(encode("m", "3", TENSORS, ALL)[1])


@pytest.mark.parametrize("binary", [True, False])
def test_an_answer_is_read_as_it_was_given(binary: bool) -> None:
    fields, body = encode("m", "3", TENSORS, ALL._replace(binary=binary))
    assert (LENGTH in fields) is binary
    version, back = decode(fields, body)
    assert version == "3"
    assert {name: array.tolist() for name, array in back.items()} == {"y": [[0.5, 0.25]], "words": ["a", "é"]}


def test_only_what_is_wanted_is_told_in_its_order_and_form() -> None:
    fields, body = encode("m", "3", TENSORS, ALL._replace(outputs={"words": True, "y": False}))
    size = int(fields[LENGTH])
    words, y = json.loads(body[:size])["outputs"]
    assert (words["name"], words["parameters"], "data" in words) == ("words", {"binary_data_size": 11}, False)
    assert (y["name"], y["data"]) == ("y", [0.5, 0.25])
    assert body[size:] == b"\1\0\0\0a\2\0\0\0\xc3\xa9"


def test_an_answer_that_json_cannot_say_is_none() -> None:
    with pytest.raises(TensorError, match="output 'y' is not finite"):
        encode("m", "3", {"y": np.array([np.inf])}, ALL)


@pytest.mark.parametrize("version", [1, None, "v" * 65, "\n", "é"])
def test_a_version_that_cannot_be_told_on_is_refused(version: Any) -> None:
    told = {"model_version": version, "outputs": [{"name": "y", "shape": [1], "datatype": "INT8", "data": [1]}]}
    with pytest.raises(TensorError, match="version"):
        decode({}, json.dumps(told).encode())
    del told["model_version"]
    assert decode({}, json.dumps(told).encode())[0] == ""


def test_no_answer_is_a_sentence() -> None:
    assert error("input 'x' is missing") == b"""{"error":"Input 'x' is missing."}"""
    assert error("Done.") == b'{"error":"Done."}'


@given(st.data())
def test_an_answer_with_bytes_changed_raises_nothing_else(data: st.DataObject) -> None:
    fields, whole = encode("m", "3", TENSORS, ALL._replace(binary=data.draw(st.booleans())))
    body = bytearray(whole)
    for _ in range(data.draw(st.integers(1, 4))):
        body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        decode(fields, bytes(body[: data.draw(st.integers(0, len(body)))]))
    except TensorError:
        pass
