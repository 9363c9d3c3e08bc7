"""What a model learnt, alone: read from its file, and written for safetensors' readers."""

from __future__ import annotations

import json

import numpy as np
import pytest

from edgeproxy.commands.weights import initializers, safetensors
from edgeproxy.tensors import KINDS, Spec
from tests.support.onnx_bytes import Tensor, field, graph, logistic, model, node, tensor

X, Y = Spec("x", "FP32", (1,)), Spec("y", "FP32", (1,))


def holding(*constants: bytes) -> bytes:
    return model(graph([node("Identity", ["x"], ["y"])], [X], [Y], constants))


@pytest.mark.parametrize("kind", [name for name in KINDS if name != "BYTES"])
def test_constants_of_every_kind_are_read(kind: str) -> None:
    values = np.array([[0, 1, 1], [1, 0, 1]]).astype(KINDS[kind].dtype)
    found = initializers(holding(tensor("a", values, kind)))["a"]
    assert found.dtype == values.dtype
    assert found.tolist() == values.tolist()


@pytest.mark.parametrize(
    ("number", "parts", "values"),
    [
        (1, field(4, 1.5) + field(4, -2.0), np.array([1.5, -2], "<f4")),
        (6, field(5, 7) + field(5, -8), np.array([7, -8], "<i4")),
        (3, field(5, 7) + field(5, -8), np.array([7, -8], "i1")),
        (7, field(7, 7) + field(7, -8), np.array([7, -8], "<i8")),
        (13, field(11, 7) + field(11, (1 << 63) + 5), np.array([7, (1 << 63) + 5], "<u8")),
        (10, field(5, 0x3C00) + field(5, 0xC000), np.array([1, -2], "<f2")),
    ],
)
def test_constants_written_as_lists_are_read(number: int, parts: bytes, values: np.ndarray) -> None:  # type: ignore[type-arg]
    found = initializers(holding(Tensor(field(1, 2) + field(2, number) + field(8, "a") + parts)))["a"]
    assert found.dtype == values.dtype
    assert found.tolist() == values.tolist()


def test_texts_are_no_weights() -> None:
    texts = Tensor(field(1, 1) + field(2, 8) + field(8, "names") + field(6, b"/path"))
    assert list(initializers(holding(texts, tensor("a", [1.0])))) == ["a"]


def test_constants_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(ValueError, match="'a' cannot be told apart"):
        initializers(holding(tensor("a", [1.0]), tensor("a", [2.0])))
    with pytest.raises(ValueError, match="cannot be written"):
        initializers(holding(Tensor(field(1, 1) + field(2, 16) + field(8, "a") + field(9, b"ab"))))


def test_the_file_is_safetensors() -> None:
    weights = initializers(logistic()) | {"odd": np.array([True, False, True])}
    content = b"".join(safetensors(weights, {"model": "toy"}))
    length = int.from_bytes(content[:8], "little")
    header, data = json.loads(content[8 : 8 + length]), content[8 + length :]
    assert length % 8 == 0
    assert header.pop("__metadata__") == {"model": "toy"}
    assert header.keys() == weights.keys()
    end = 0
    for name, told in header.items():
        begin, after = told["data_offsets"]
        assert begin == end
        end = after
        kind = {"F32": "<f4", "BOOL": "?"}[told["dtype"]]
        assert np.frombuffer(data[begin:end], kind).reshape(told["shape"]).tolist() == weights[name].tolist()
    assert end == len(data)
