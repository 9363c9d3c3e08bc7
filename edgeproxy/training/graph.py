"""ONNX graphs, written so that every runtime in use reads them."""

from __future__ import annotations

import contextlib
import logging
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import onnx
import onnxruntime
from onnx import helper, numpy_helper
from onnxruntime import quantization

from edgeproxy.tensors import KINDS, Spec, Tensors

Array = npt.NDArray[Any]

# The onnx package writes newer ones by default than onnxruntime reads.
IR: Final = 9
OPSETS: Final = {"": 17, "ai.onnx.ml": 3}


class Graph:
    """A graph that grows from its inputs: each call of ``add`` is one node, and names its output."""

    def __init__(self, name: str, inputs: Sequence[Spec]) -> None:
        self._name = name
        self._inputs = inputs
        self._nodes: list[Any] = []
        self._weights: list[Any] = []

    def weight(self, values: Array, name: str = "") -> str:
        """A constant of the graph; the name it goes by."""
        name = name or f"weight{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def add(self, operator: str, *inputs: str | Array, output: str = "", domain: str = "", **attributes: Any) -> str:
        """A node; arrays among ``inputs`` become constants. The name of its output."""
        output = output or f"{operator.lower()}{len(self._nodes)}"
        names = [given if isinstance(given, str) else self.weight(given) for given in inputs]
        self._nodes.append(helper.make_node(operator, names, [output], domain=domain, name=output, **attributes))
        return output

    def add_many(self, operator: str, inputs: Sequence[str | Array], outputs: Sequence[str], **attributes: Any) -> None:
        """A node with several outputs, by name."""
        names = [given if isinstance(given, str) else self.weight(given) for given in inputs]
        self._nodes.append(helper.make_node(operator, names, list(outputs), name=outputs[0], **attributes))

    def model(self, outputs: Sequence[Spec]) -> bytes:
        """The file's content. Raises onnx.checker.ValidationError where the nodes do not fit together."""
        graph = helper.make_graph(
            self._nodes, self._name, _values(self._inputs), _values(outputs), initializer=self._weights
        )
        used = {node.domain for node in self._nodes} | {""}
        opsets = [helper.make_opsetid(domain, number) for domain, number in OPSETS.items() if domain in used]
        model = helper.make_model(graph, ir_version=IR, opset_imports=opsets, producer_name="edgeproxy")
        onnx.checker.check_model(model, full_check=True)
        return bytes(model.SerializeToString())


def _values(specs: Iterable[Spec]) -> list[Any]:
    """Free lengths are named, so that a batch comes out as long as it went in."""
    return [
        helper.make_tensor_value_info(
            spec.name,
            KINDS[spec.kind].number,
            [("batch" if place == 0 else f"{spec.name}{place}") if n < 0 else n for place, n in enumerate(spec.shape)],
        )
        for spec in specs
    ]


def quantised(model: bytes, examples: Iterable[Tensors]) -> bytes:
    """In INT8: QDQ, activations U8, weights S8, as ``examples`` of its inputs show the ranges.

    Weights use 7 of the 8 bits, since pairs of products overflow on processors with AVX2 and no VNNI otherwise. One
    scale a tensor: by channel fails on Gemm with a bias of two dimensions (onnxruntime issue 24815). What comes out of
    a Gemm stays in 32 bits: it is the answer.
    """
    with tempfile.TemporaryDirectory() as folder, _quietly():
        before, after = Path(folder) / "before.onnx", Path(folder) / "after.onnx"
        before.write_bytes(model)
        quantization.quantize_static(
            before,
            after,
            _Examples(examples),
            quant_format=quantization.QuantFormat.QDQ,
            activation_type=quantization.QuantType.QUInt8,
            weight_type=quantization.QuantType.QInt8,
            per_channel=False,
            reduce_range=True,
            extra_options={"OpTypesToExcludeOutputQuantization": ["Gemm"]},
        )
        return after.read_bytes()


class _Examples(quantization.CalibrationDataReader):  # type: ignore[misc]  # onnxruntime has no types
    def __init__(self, examples: Iterable[Tensors]) -> None:
        self._examples = iter(examples)

    def get_next(self) -> Tensors | None:
        return next(self._examples, None)


@contextlib.contextmanager
def _quietly() -> Iterator[None]:
    """The quantiser advises, through the root logger, a step that changes nothing for graphs as small as these."""
    logging.disable(logging.WARNING)
    try:
        yield
    finally:
        logging.disable(logging.NOTSET)


def run(model: bytes, tensors: Mapping[str, Array]) -> Tensors:
    """What the runtime answers, by output; on one thread, so that the sums are the same everywhere they can be."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    session = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(names, dict(tensors)), strict=True))
