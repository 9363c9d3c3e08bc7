"""The tables agree with each other, with the types there are, and with the runtime that is installed."""

from __future__ import annotations

import pytest

from edgeproxy.inference.onnx_schema import BITS, FIELDS, LISTS, NEWEST_IR, NEWEST_SETS, VALUES, WIRES
from edgeproxy.inference.session import RunError, Session
from edgeproxy.tensors import ANY, KINDS, Spec
from tests.support.onnx_bytes import graph, model, node

ENDS = [Spec("x", "FP32", (ANY,))], [Spec("y", "FP32", (ANY,))]


def test_the_tables_agree() -> None:
    assert all(what.rstrip("*") in WIRES for known in FIELDS.values() for what in known.values())
    assert LISTS["TensorProto"].keys() >= VALUES.keys() - {6}
    assert all(number < 16 for lists in LISTS.values() for number in lists)  # one byte of tag, as the walk has it
    assert all(kind in BITS for kinds in VALUES.values() for kind in kinds)
    assert all(BITS[kind.number] == kind.size * 8 for kind in KINDS.values())


def test_what_is_taken_is_what_the_runtime_takes() -> None:
    content = graph([node("Relu", ["x"], ["y"])], *ENDS)
    Session(model(content, NEWEST_SETS[""], NEWEST_IR))
    with pytest.raises(RunError, match="Unsupported model IR version: 14, max supported IR version: 13"):
        Session(model(content, NEWEST_SETS[""], NEWEST_IR + 1))
    with pytest.raises(RunError, match="opset"):
        Session(model(content, NEWEST_SETS[""] + 1, NEWEST_IR))
    trees = graph([node("Scaler", ["x"], ["y"], "ai.onnx.ml", offset=[0.0], scale=[2.0])], *ENDS)
    Session(model(trees, domains={"ai.onnx.ml": NEWEST_SETS["ai.onnx.ml"]}))
    with pytest.raises(RunError, match="opset"):
        Session(model(trees, domains={"ai.onnx.ml": NEWEST_SETS["ai.onnx.ml"] + 1}))
