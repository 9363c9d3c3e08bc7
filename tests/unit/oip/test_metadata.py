"""What is told of servers and models."""

from __future__ import annotations

from edgeproxy.oip import metadata
from edgeproxy.tensors import ANY, Spec


def test_a_model_is_told_by_its_versions_and_tensors() -> None:
    assert metadata.model("m", ["2", "1"], [Spec("x", "FP32", (ANY, 4))], [Spec("y", "BYTES", (1,))]) == {
        "name": "m",
        "versions": ["2", "1"],
        "platform": "onnx_onnxv1",
        "inputs": [{"name": "x", "datatype": "FP32", "shape": [-1, 4]}],
        "outputs": [{"name": "y", "datatype": "BYTES", "shape": [1]}],
    }


def test_a_server_tells_what_it_can() -> None:
    assert metadata.server("edgeproxy", "1", ("binary_tensor_data",)) == {
        "name": "edgeproxy",
        "version": "1",
        "extensions": ["binary_tensor_data"],
    }


def test_a_version_tells_where_it_stands() -> None:
    told = metadata.standing("m", "1", "UNAVAILABLE", "its file is cut short")
    assert told == {"name": "m", "version": "1", "state": "UNAVAILABLE", "reason": "its file is cut short"}
