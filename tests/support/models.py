"""Folders of models, made of files of a few bytes (:mod:`tests.support.onnx_bytes`)."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

import yaml

from edgeproxy.tensors import ANY, Spec
from tests.support import onnx_bytes


class Small(NamedTuple):
    """A model file, what goes in and comes out, and a question with its answer."""

    content: bytes
    inputs: tuple[Spec, ...]
    outputs: tuple[Spec, ...]
    sample: dict[str, Any]


SCORE = Small(
    onnx_bytes.logistic((0.5, -0.25, 0.125, 1.0)),
    (Spec("features", "FP32", (ANY, 4)),),
    (Spec("score", "FP32", (ANY, 1)),),
    {"inputs": {"features": [1, 2, 4, -0.5]}, "outputs": {"score": [0.5]}},
)
"""The sigmoid of 0.5 a - 0.25 b + 0.125 c + d."""

ECHO = Small(
    onnx_bytes.identity(),
    (Spec("x", "FP32", (ANY, 4)),),
    (Spec("y", "FP32", (ANY, 4)),),
    {"inputs": {"x": [1, 2, 3, 4]}, "outputs": {"y": [1, 2, 3, 4]}},
)
"""What goes in comes out."""

SLOW = Small(
    onnx_bytes.steady(160, 64),
    (Spec("x", "FP32", (1, 1)),),
    (Spec("y", "FP32", (1, 1)),),
    {"inputs": {"x": [0.5]}, "outputs": {"y": [0.5]}},
)
"""Some milliseconds of work: too long for the loop."""


def manifest(name: str, versions: Mapping[str, Small], **changes: Any) -> dict[str, Any]:
    """A manifest's content, of the first version's inputs and outputs; ``changes`` replace keys of it."""
    first = next(iter(versions.values()))
    return {
        "name": name,
        "task": "other",
        "about": "A model to test with.",
        "licence": "Apache-2.0",
        "data": "none",
        "inputs": [_spec(spec) for spec in first.inputs],
        "outputs": [_spec(spec) for spec in first.outputs],
        "versions": {
            number: {"sha256": hashlib.sha256(small.content).hexdigest(), "sample": small.sample}
            for number, small in versions.items()
        },
    } | changes


def write(folder: Path, name: str, versions: Mapping[str, Small], **changes: Any) -> Path:
    """Write a model's folder as it is to be: these versions and no other, the files first, the manifest whole."""
    own = folder / name
    own.mkdir(parents=True, exist_ok=True)
    for number, small in versions.items():
        (own / number).mkdir(exist_ok=True)
        (own / number / "model.onnx").write_bytes(small.content)
    beside = own / ".manifest"
    beside.write_text(yaml.safe_dump(manifest(name, versions, **changes), sort_keys=False))
    beside.rename(own / "manifest.yaml")
    for other in own.iterdir():
        if other.is_dir() and other.name not in versions:
            shutil.rmtree(other)
    return own


def _spec(spec: Spec) -> dict[str, Any]:
    return {"name": spec.name, "kind": spec.kind, "shape": list(spec.shape)}
