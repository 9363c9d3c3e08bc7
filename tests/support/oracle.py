"""A stand-in for a node's models, by the contract of :class:`edgeproxy.inference.service.Inference`, and features."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import numpy as np

from edgeproxy.http.message import Request
from edgeproxy.inference.manifest import Manifest
from edgeproxy.inference.service import Inference
from edgeproxy.inference.version import AskError, Outcome, Version
from edgeproxy.pipeline.middleware import Services
from edgeproxy.tensors import Array, Tensors
from tests.support.stages import services

Said = list[float] | AskError
HEAD = {"name": "features", "kind": "FP32", "shape": [-1, 2], "features": "head/1"}
TEXT = {"name": "text", "kind": "BYTES", "shape": [-1]}
SCORE = {"name": "score", "kind": "FP32", "shape": [-1, 1]}


def labelled(*labels: str, **more: Any) -> dict[str, Any]:
    """An output with labels."""
    return {"name": "label", "kind": "FP32", "shape": [-1, len(labels)], "labels": list(labels), **more}


def head(request: Request) -> Array:
    """Two numbers of a request: whether its agent is one of a browser, and how many fields it has."""
    browser = request.headers.get(b"user-agent", b"").startswith(b"Mozilla/")
    return np.array([browser, len(request.headers)], np.float32)


def identity(request: Request) -> bytes:
    """What :func:`head` goes by."""
    return b"%b %d" % (request.headers.get(b"user-agent", b""), len(request.headers))


def manifest(name: str = "score", inputs: Any = (HEAD,), outputs: Any = (SCORE,), **more: Any) -> Manifest:
    """A manifest of two versions."""
    given = {"task": "other", "about": "for tests", "licence": "MIT", "data": "none"}
    sample = {"seed": 1, "outputs": {each["name"]: [0] for each in outputs}}
    versions = {number: {"sha256": "0" * 64, "sample": sample} for number in ("1", "2")}
    return Manifest.model_validate(
        given | {"name": name, "inputs": inputs, "outputs": outputs, "versions": versions, **more}
    )


class Oracle(Inference):
    """Says what ``says`` makes of the tensors it is asked with, version 2 what ``otherwise`` does. ``asked`` are the
    names, tensors and further arguments. ``gate``: until it is set, nothing is answered; None answers at once."""

    def __init__(self, *manifests: Manifest, says: Callable[[Tensors], Said] = lambda _: [0.9]) -> None:
        """Nothing of what it stands in for is made."""
        self.known = {each.name: each for each in manifests or (manifest(),)}
        self.says = says
        self.otherwise = says
        self.by = "edge"
        self.version: Version | None = None
        self.repeats = 0
        self.gate: asyncio.Event | None = None
        self.asked: list[tuple[str, Tensors, dict[str, Any]]] = []

    def lend(self, lent: Services | None = None) -> Services:
        """Services whose models these are."""
        return replace(lent or services(), models=lambda: self)

    def serving(self, name: str) -> Version | None:
        return self.version

    def repeated(self, version: Version) -> None:
        self.repeats += 1

    def require(self, name: str) -> Manifest:
        if name not in self.known:
            raise ValueError(f"there is no model {name!r}")
        return self.known[name]

    def ask(
        self, name: str, tensors: Tensors, *, version: str = "", within: float | None = None, here: bool = False
    ) -> Outcome | Awaitable[Outcome]:
        self.asked.append((name, tensors, {"version": version, "within": within, "here": here}))
        said = (self.otherwise if version == "2" else self.says)(tensors)
        if self.gate is not None:
            return self._later(self.gate, name, said, version)
        return self._outcome(name, said, version)

    async def _later(self, gate: asyncio.Event, name: str, said: Said, version: str) -> Outcome:
        await gate.wait()
        return self._outcome(name, said, version)

    def _outcome(self, name: str, said: Said, version: str) -> Outcome:
        if isinstance(said, AskError):
            raise said
        output = self.known[name].outputs[0].name
        return Outcome({output: np.array([said], np.float32)}, name, version or "1", self.by, 0.0)
