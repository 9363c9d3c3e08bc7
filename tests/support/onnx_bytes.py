"""ONNX files written byte by byte: good ones, small ones, and such as no library would write.

A message is the bytes of its fields put together (protobuf's encoding); the field numbers are those of onnx.proto.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt

from edgeproxy.tensors import ANY, KINDS, Spec

Part = int | float | str | bytes


class Tensor(bytes):
    """A TensorProto, as an attribute."""


class Graph(bytes):
    """A GraphProto, as an attribute."""


Attribute = int | float | str | Tensor | Graph | Sequence[int] | Sequence[float]


def varint(value: int) -> bytes:
    """Little groups of seven bits first; what is negative has all of its 64."""
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: Part) -> bytes:
    """One field: a whole number as a varint, another as 32 bits, text and bytes with their length."""
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    if isinstance(value, float):
        return varint(number << 3 | 5) + struct.pack("<f", value)
    content = value.encode() if isinstance(value, str) else value
    return varint(number << 3 | 2) + varint(len(content)) + content


def tensor(name: str, array: npt.ArrayLike, kind: str = "FP32") -> Tensor:
    """A TensorProto with its values as raw bytes."""
    values = np.asarray(array, KINDS[kind].dtype)
    dims = b"".join(field(1, length) for length in values.shape)
    return Tensor(dims + field(2, KINDS[kind].number) + field(8, name) + field(9, values.tobytes()))


def announced(name: str, dims: Iterable[int], content: bytes = b"", number: int = 1) -> Tensor:
    """A TensorProto that says it has these dimensions, whatever its content."""
    said = b"".join(field(1, length) for length in dims)
    return Tensor(said + field(2, number) + field(8, name) + field(9, content))


def external(name: str, location: str, dims: Iterable[int] = (1,)) -> Tensor:
    """A TensorProto whose values lie in another file."""
    said = b"".join(field(1, length) for length in dims)
    entry = field(1, "location") + field(2, location)
    return Tensor(said + field(2, 1) + field(8, name) + field(13, entry) + field(14, 1))


def attribute(name: str, value: Attribute) -> bytes:
    """An AttributeProto."""
    if isinstance(value, Tensor):
        return field(1, name) + field(5, bytes(value)) + field(20, 4)
    if isinstance(value, Graph):
        return field(1, name) + field(6, bytes(value)) + field(20, 5)
    if isinstance(value, float):
        return field(1, name) + field(2, value) + field(20, 1)
    if isinstance(value, int):
        return field(1, name) + field(3, value) + field(20, 2)
    if isinstance(value, str):
        return field(1, name) + field(4, value) + field(20, 3)
    if value and isinstance(value[0], float):
        return field(1, name) + b"".join(field(7, float(each)) for each in value) + field(20, 6)
    return field(1, name) + b"".join(field(8, int(each)) for each in value) + field(20, 7)


def node(
    operator: str, inputs: Iterable[str], outputs: Iterable[str], domain: str = "", **attributes: Attribute
) -> bytes:
    """A NodeProto."""
    names = b"".join(field(1, name) for name in inputs) + b"".join(field(2, name) for name in outputs)
    own = b"".join(field(5, attribute(name, value)) for name, value in attributes.items())
    return names + field(4, operator) + own + (field(7, domain) if domain else b"")


def value_info(spec: Spec) -> bytes:
    """A ValueInfoProto; free lengths have a name."""
    dims = [field(2, f"n{at}") if length == ANY else field(1, length) for at, length in enumerate(spec.shape)]
    shape = b"".join(field(1, dim) for dim in dims)
    return field(1, spec.name) + field(2, field(1, field(1, KINDS[spec.kind].number) + field(2, shape)))


def graph(
    nodes: Iterable[bytes], inputs: Iterable[Spec], outputs: Iterable[Spec], initializers: Iterable[bytes] = ()
) -> Graph:
    """A GraphProto."""
    return Graph(
        b"".join(field(1, each) for each in nodes)
        + field(2, "graph")
        + b"".join(field(5, each) for each in initializers)
        + b"".join(field(11, value_info(spec)) for spec in inputs)
        + b"".join(field(12, value_info(spec)) for spec in outputs)
    )


def model(content: bytes, opset: int = 17, ir: int = 8, domains: Mapping[str, int] | None = None) -> bytes:
    """A ModelProto: a whole file."""
    sets = {"": opset} | dict(domains or {})
    imports = b"".join(field(8, (field(1, name) if name else b"") + field(2, number)) for name, number in sets.items())
    return field(1, ir) + field(2, "tests") + field(7, content) + imports


# -- whole files -----------------------------------------------------------------------------------------------------


def identity(kind: str = "FP32", shape: tuple[int, ...] = (ANY, 4)) -> bytes:
    """``y`` is ``x``."""
    return model(graph([node("Identity", ["x"], ["y"])], [Spec("x", kind, shape)], [Spec("y", kind, shape)]))


def logistic(weights: npt.ArrayLike = (0.5, -0.25, 0.125, 1.0), bias: float = 0.0) -> bytes:
    """``score`` FP32[?, 1] is the sigmoid of ``features`` FP32[?, n] · weights + bias."""
    column = np.asarray(weights, np.float32).reshape(-1, 1)
    nodes = [node("Gemm", ["features", "w", "b"], ["z"]), node("Sigmoid", ["z"], ["score"])]
    given = [Spec("features", "FP32", (ANY, len(column)))]
    return model(graph(nodes, given, [Spec("score", "FP32", (ANY, 1))], [tensor("w", column), tensor("b", [bias])]))


def classifier(weights: npt.ArrayLike) -> bytes:
    """``logits`` FP32[?, m] is ``x`` FP32[?, n] · weights, n by m."""
    table = np.asarray(weights, np.float32)
    nodes = [node("MatMul", ["x", "w"], ["logits"])]
    given, told = Spec("x", "FP32", (ANY, table.shape[0])), Spec("logits", "FP32", (ANY, table.shape[1]))
    return model(graph(nodes, [given], [told], [tensor("w", table)]))


def steady(size: int, times: int) -> bytes:
    """``y`` FP32[1, 1] is ``x``, after as much work as multiplying matrices of that size so many times takes."""
    names = ["wide", *(f"m{at}" for at in range(times))]
    nodes = [node("Expand", ["x", "shape"], ["wide"])]
    nodes += [node("MatMul", [before, "mean"], [after]) for before, after in pairwise(names)]
    nodes += [node("ReduceMean", [names[-1]], ["y"], axes=[0, 1])]
    held = [tensor("shape", [size, size], "INT64"), tensor("mean", np.full((size, size), 1 / size))]
    return model(graph(nodes, [Spec("x", "FP32", (1, 1))], [Spec("y", "FP32", (1, 1))], held))


def loop(times: int = 1 << 62) -> bytes:
    """``y`` FP32[1] is ``x`` plus 1, ``times`` times over: as good as for ever."""
    body = graph(
        [node("Identity", ["on"], ["still"]), node("Add", ["before", "one"], ["after"])],
        [Spec("at", "INT64", ()), Spec("on", "BOOL", ()), Spec("before", "FP32", (1,))],
        [Spec("still", "BOOL", ()), Spec("after", "FP32", (1,))],
        [tensor("one", [1.0])],
    )
    nodes = [node("Loop", ["times", "yes", "x"], ["y"], body=body)]
    first = [tensor("times", times, "INT64"), tensor("yes", True, "BOOL")]
    return model(graph(nodes, [Spec("x", "FP32", (1,))], [Spec("y", "FP32", (1,))], first))


def glutton(elements: int) -> bytes:
    """``y`` FP32[?] is ``x`` FP32[1], as often as that: memory by a shape worked out in running, past any reading."""
    nodes = [
        node("Cast", ["x"], ["whole"], to=KINDS["INT64"].number),
        node("Mul", ["whole", "many"], ["shape"]),
        node("Expand", ["x", "shape"], ["y"]),
    ]
    many = tensor("many", [elements], "INT64")
    return model(graph(nodes, [Spec("x", "FP32", (1,))], [Spec("y", "FP32", (ANY,))], [many]))


def nested(depth: int) -> bytes:
    """``y`` BOOL is ``on``, through branches within branches."""
    told = [Spec("y", "BOOL", ())]
    flat = inner = graph([node("Identity", ["on"], ["y"])], [], told)
    given: list[Spec] = []
    for level in range(depth):
        given = [Spec("on", "BOOL", ())] if level == depth - 1 else []
        inner = graph([node("If", ["on"], ["y"], then_branch=inner, else_branch=flat)], given, told)
    return model(inner)
