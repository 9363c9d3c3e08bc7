"""What a server and its models say of themselves."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final, Literal

from edgeproxy.oip.envelope import Json
from edgeproxy.tensors import Spec

EXTENSIONS: Final = ("binary_tensor_data", "model_repository")
PLATFORM: Final = "onnx_onnxv1"  # the protocol's word: <project>_<format>

State = Literal["READY", "UNAVAILABLE", "LOADING", "UNLOADING"]


def server(name: str, version: str, extensions: Sequence[str]) -> Json:
    """``GET /v2``."""
    return {"name": name, "version": version, "extensions": list(extensions)}


def model(name: str, versions: Sequence[str], inputs: Iterable[Spec], outputs: Iterable[Spec]) -> Json:
    """``GET /v2/models/{name}``. ``versions``: those that serve."""
    return {
        "name": name,
        "versions": list(versions),
        "platform": PLATFORM,
        "inputs": [_tensor(spec) for spec in inputs],
        "outputs": [_tensor(spec) for spec in outputs],
    }


def standing(name: str, version: str, state: State, reason: str) -> Json:
    """One entry of what ``POST /v2/repository/index`` lists."""
    return {"name": name, "version": version, "state": state, "reason": reason}


def _tensor(spec: Spec) -> Json:
    return {"name": spec.name, "datatype": spec.kind, "shape": list(spec.shape)}
