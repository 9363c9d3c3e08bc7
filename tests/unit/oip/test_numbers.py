"""Long questions are read as all others are, and by a shorter way."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.oip.envelope import read_json
from edgeproxy.oip.numbers import read_numbers
from edgeproxy.oip.wire import read
from edgeproxy.tensors import TensorError

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text()
NAMES = st.sampled_from(["name", "shape", "datatype", "data", "parameters", "x"])
VALUES = st.recursive(SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(NAMES, inner, max_size=3))
ENTRIES = st.fixed_dictionaries(
    {"name": st.just("x"), "shape": st.just([2]), "datatype": st.sampled_from(["FP32", "FP64", "INT32", "BOOL"])},
    optional={"data": st.lists(st.floats(-1e300, 1e300) | st.integers(-(2**63), 2**63) | VALUES, max_size=3)},
)
MESSAGES = st.dictionaries(
    st.sampled_from(["inputs", "outputs", "id", "parameters"]), st.lists(ENTRIES | VALUES, max_size=2) | VALUES
)


def message(data: str, kind: str = "FP32") -> bytes:
    return f'{{"id":"7","inputs":[{{"name":"x","shape":[3],"datatype":"{kind}","data":{data}}}]}}'.encode()


def outcome(head: dict[str, Any]) -> object:
    try:
        return {name: array.tolist() for name, array in read("input", head.get("inputs"), memoryview(b"")).items()}
    except TensorError as error:
        return str(error)


def test_numbers_come_as_an_array() -> None:
    head = read_numbers(message("[0.5, -1, 1e3]"))
    assert head is not None
    assert type(head["inputs"][0]["data"]) is np.ndarray
    assert head["id"] == "7"
    assert outcome(head) == {"x": [0.5, -1.0, 1000.0]}


@pytest.mark.parametrize(
    "data", ["[1, [2], 3]", "[[1, 2, 3]]", "[true, 1, 2]", '["1", 2, 3]', "[1, 2, NaN]", "[1, 2, 1e999]"]
)
def test_what_else_stands_there_is_left_to_json(data: str) -> None:
    assert read_numbers(message(data)) is None


def test_whole_numbers_keep_their_type() -> None:
    assert read_numbers(message("[1, 2, 3]", "INT64")) is None


def test_what_is_beyond_the_type_is_refused() -> None:
    head = read_numbers(message("[1, 2, 1e39]"))
    assert head is not None
    assert outcome(head) == "input 'x' holds what is beyond FP32"


@pytest.mark.parametrize("text", [b"", b"7", b"[]", b"\xff", b'{"inputs":', b"[" * 5000])
def test_what_is_no_object_is_left_to_json(text: bytes) -> None:
    assert read_numbers(text) is None


@given(MESSAGES, st.integers(0, 2))
def test_both_ways_read_alike(told: dict[str, Any], indent: int) -> None:
    text = json.dumps(told, indent=indent or None, ensure_ascii=indent == 1).encode("utf-8", "replace")
    head = read_numbers(text)
    if head is not None:
        plain = read_json(text)
        assert outcome(head) == outcome(plain)
        assert head.get("id") == plain.get("id")


@given(st.binary(max_size=60))
def test_bytes_of_strangers_raise_nothing(text: bytes) -> None:
    read_numbers(text)
