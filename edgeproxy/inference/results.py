"""Outcomes of pure models, kept by what was asked: bounded in bytes and in age, the least asked for goes first."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Final

import numpy as np
from blake3 import blake3

from edgeproxy.inference.version import Outcome, Version
from edgeproxy.tensors import Array, Tensors

WORTHWHILE: Final = 5e-5  # seconds of a run, below which hashing and keeping cost as much as running
LARGEST: Final = 4_000_000  # bytes of a question; more take over a millisecond of the loop to hash
_OVERHEAD: Final = 1_000  # bytes beside the tensors


class Results:
    """``size`` bytes at most, each for ``age`` seconds; ``now`` gives monotonic seconds."""

    def __init__(self, size: int, age: float, now: Callable[[], float]) -> None:
        self.size = 0
        self._most = size
        self._age = age
        self._now = now
        self._kept: OrderedDict[bytes, tuple[Outcome, float, int]] = OrderedDict()

    def key(self, version: Version, tensors: Tensors) -> bytes:
        """What a question is known by, b"" if its outcome is not to be kept. By a hash that nobody finds two questions
        of: whoever did could have one answered with what the other was."""
        if not self._most or not self._age or not version.manifest.pure or version.seconds < WORTHWHILE:
            return b""
        if sum([array.nbytes for array in tensors.values()]) > LARGEST:
            return b""
        digest = blake3()
        digest.update(f"{version.manifest.name}\0{version.spec.sha256}".encode())
        for name in sorted(tensors):
            array = tensors[name]
            digest.update(f"\0{name}\0{array.dtype.str}{array.shape}\0".encode())
            digest.update(_content(array))
        return digest.digest()

    def get(self, key: bytes) -> Outcome | None:
        """The outcome of an equal question, marked as kept."""
        kept = self._kept.get(key)
        if kept is None:
            return None
        outcome, until, _ = kept
        if self._now() >= until:
            self._drop(key)
            return None
        self._kept.move_to_end(key)
        return outcome

    def put(self, key: bytes, outcome: Outcome) -> None:
        size = _OVERHEAD + sum(_weight(array) for array in outcome.tensors.values())
        if size > self._most // 4:  # one must not take the place of all
            return
        for array in outcome.tensors.values():
            array.flags.writeable = False  # it is given to many
        if key in self._kept:
            self._drop(key)
        self._kept[key] = (outcome._replace(kept=True, seconds=0.0), self._now() + self._age, size)
        self.size += size
        while self.size > self._most:
            self._drop(next(iter(self._kept)))

    def forget(self, name: str) -> None:
        """Those of one model."""
        for key in [key for key, (outcome, _, _) in self._kept.items() if outcome.model == name]:
            self._drop(key)

    def _drop(self, key: bytes) -> None:
        self.size -= self._kept.pop(key)[2]

    def __len__(self) -> int:
        return len(self._kept)

    def __repr__(self) -> str:
        return f"<Results {len(self._kept)}, {self.size} of {self._most} bytes>"


def _content(array: Array) -> bytes | memoryview:
    if array.dtype == object:
        parts = [part if isinstance(part, bytes) else str(part).encode() for part in array.ravel()]
        return b"".join(b"%d:%b" % (len(part), part) for part in parts)
    return np.ascontiguousarray(array).data.cast("B") if array.size else b""


def _weight(array: Array) -> int:
    if array.dtype == object:
        return sum(64 + len(part) for part in array.ravel())
    return int(array.nbytes)
