"""Values for models: arrays with names, types and shapes, and the one table of their types."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
Tensors = dict[str, Array]

ANY: Final = -1  # a length that is free


class Kind(NamedTuple):
    """A type: as the Open Inference Protocol calls it, its numpy type, the bytes of an element (0: they differ), its
    number in ONNX (TensorProto.DataType), and onnxruntime's word."""

    name: str
    dtype: np.dtype[Any]
    size: int
    number: int
    word: str


_ROWS: Final = (
    ("BOOL", "bool", 1, 9, "tensor(bool)"),
    ("UINT8", "uint8", 1, 2, "tensor(uint8)"),
    ("UINT16", "<u2", 2, 4, "tensor(uint16)"),
    ("UINT32", "<u4", 4, 12, "tensor(uint32)"),
    ("UINT64", "<u8", 8, 13, "tensor(uint64)"),
    ("INT8", "int8", 1, 3, "tensor(int8)"),
    ("INT16", "<i2", 2, 5, "tensor(int16)"),
    ("INT32", "<i4", 4, 6, "tensor(int32)"),
    ("INT64", "<i8", 8, 7, "tensor(int64)"),
    ("FP16", "<f2", 2, 10, "tensor(float16)"),
    ("FP32", "<f4", 4, 1, "tensor(float)"),
    ("FP64", "<f8", 8, 11, "tensor(double)"),
    ("BYTES", "object", 0, 8, "tensor(string)"),
)
KINDS: Final = {row[0]: Kind(row[0], np.dtype(row[1]), *row[2:]) for row in _ROWS}
BY_WORD: Final = {kind.word: kind for kind in KINDS.values()}


class TensorError(ValueError):
    """What was given is not what is wanted; the message is for whoever gave it."""


class Spec(NamedTuple):
    """What one input or output is: its name, the name of its kind, its shape with ANY for a free length."""

    name: str
    kind: str
    shape: tuple[int, ...]

    def __str__(self) -> str:
        lengths = ", ".join("?" if length == ANY else str(length) for length in self.shape)
        return f"{self.name} {self.kind}[{lengths}]"


def check(specs: Iterable[Spec], tensors: Tensors, what: str = "input") -> None:
    """Raises TensorError unless there is just what the specs say; ``what`` they are of."""
    wanted = {spec.name: spec for spec in specs}
    for name in tensors:
        if name not in wanted:
            raise TensorError(f"there is no {what} {name!r}; known are {', '.join(wanted)}")
    for name, spec in wanted.items():
        array = tensors.get(name)
        if array is None:
            raise TensorError(f"{what} {name!r} is missing")
        if array.dtype != KINDS[spec.kind].dtype:
            raise TensorError(f"{what} {name!r} is {spec.kind}, not {_word(array)}")
        lengths = zip(spec.shape, array.shape, strict=False)
        if len(array.shape) != len(spec.shape) or any(want not in {ANY, length} for want, length in lengths):
            raise TensorError(f"{what} {name!r} has the shape {list(array.shape)}; wanted is {spec}")


def _word(array: Array) -> str:
    return next((kind.name for kind in KINDS.values() if kind.dtype == array.dtype), str(array.dtype))
