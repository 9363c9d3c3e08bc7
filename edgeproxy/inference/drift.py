"""How far what comes in has moved from what a model was trained on: the population stability index.

PSI = Σ (seen - trained) · ln(seen / trained) over the bins of a histogram; under 0.1 little has changed, over 0.25 much
(N. Siddiqi, Credit Risk Scorecards, 2006, ch. 7).
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence
from itertools import count
from math import log
from typing import Final

from edgeproxy.inference.version import Version
from edgeproxy.observe.metrics import Labels, Metrics
from edgeproxy.tensors import Tensors

WINDOW: Final = 1_000  # questions looked at, of each version
LEAST: Final = 100  # before anything is told
NUMBERS: Final = 64  # histograms of one version that are watched
_FLOOR: Final = 1e-4  # the share an empty bin counts as


class Drift:
    """Looks at a ``share`` of the questions."""

    def __init__(self, share: float, metrics: Metrics) -> None:
        self._every = round(1 / share) if share else 0
        self._turn = count(1)
        self._watched: dict[tuple[str, str], _Watched] = {}
        about = "How far a number of what models are asked has moved from their training data (PSI)."
        metrics.gauge("edgeproxy_inference_drift", about, ("model", "version", "number"), self._read, merge="max")

    def look(self, version: Version, question: Tensors, answer: Tensors) -> None:
        """Perhaps take a question into account, and what came of it."""
        if not self._every or not version.spec.histograms or next(self._turn) % self._every:
            return
        key = version.manifest.name, version.number
        watched = self._watched.get(key)
        if watched is None or watched.version is not version:
            watched = self._watched[key] = _Watched(version)
        watched.take(question | answer)

    def forget(self, name: str) -> None:
        for key in [key for key in self._watched if key[0] == name]:
            del self._watched[key]

    def _read(self) -> Iterable[tuple[Labels, float]]:
        return [((*key, name), psi) for key, watched in self._watched.items() for name, psi in watched.told()]


class _Watched:
    """One version's numbers: in which bins the last WINDOW questions lay."""

    def __init__(self, version: Version) -> None:
        self.version = version
        self._places = {name: place for name in version.spec.histograms if (place := _place(version, name)) is not None}
        self._bins: list[list[int]] = []
        self._next = 0
        self._names = list(self._places)[:NUMBERS]

    def take(self, tensors: Tensors) -> None:
        bins = []
        for name in self._names:
            tensor, index = self._places[name]
            values = tensors[tensor].reshape(-1)
            value = float(values[index]) if index < len(values) else 0.0
            bins.append(bisect_right(self.version.spec.histograms[name].edges, value))
        if len(self._bins) < WINDOW:
            self._bins.append(bins)
        else:
            self._bins[self._next] = bins
            self._next = (self._next + 1) % WINDOW

    def told(self) -> Iterable[tuple[str, float]]:
        if len(self._bins) < LEAST:
            return
        for column, name in enumerate(self._names):
            trained = self.version.spec.histograms[name].shares
            seen = [0] * len(trained)
            for bins in self._bins:
                seen[bins[column]] += 1
            yield name, psi([number / len(self._bins) for number in seen], trained)


def psi(seen: Sequence[float], trained: Sequence[float]) -> float:
    """The index of two histograms with the same bins."""
    pairs = [(max(a, _FLOOR), max(b, _FLOOR)) for a, b in zip(seen, trained, strict=True)]
    return sum((a - b) * log(a / b) for a, b in pairs)


def _place(version: Version, name: str) -> tuple[str, int] | None:
    """The tensor and the flat place of a number called ``tensor[i]``; None for what is called otherwise."""
    tensor, bracket, index = name.partition("[")
    manifest = version.manifest
    known = {each.name for each in manifest.inputs} | {each.name for each in manifest.outputs}
    if tensor not in known or not bracket or not index.endswith("]") or not index[:-1].isdecimal():
        return None
    return tensor, int(index[:-1])
