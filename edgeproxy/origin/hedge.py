"""When a second try beside the first is worth it: once the first has taken longer than nearly all do. Pure."""

from __future__ import annotations

from math import log2
from typing import Final

from edgeproxy.balance.pace import KINDS
from edgeproxy.config.pools import HedgeConfig

ENOUGH: Final = 20  # answers of a kind before its quantile means something
_SHORTEST: Final = 0.0005  # seconds: the upper end of the first step
_STEPS: Final = 72  # four to each doubling: up to two minutes
_KEPT: Final = 1024  # answers of a kind before the older half counts for half
_ANEW: Final = 32  # answers between two looks at a quantile


class Heads:
    """How long answers' heads took, by kind: a histogram that forgets, and one quantile of it."""

    __slots__ = ("_counts", "_found", "_heard", "_quantile", "_sums")

    def __init__(self, quantile: float) -> None:
        self._quantile = quantile
        self._counts = [[0] * _STEPS for _ in range(KINDS)]
        self._sums = [0] * KINDS
        self._heard = [0] * KINDS
        self._found = [0.0] * KINDS

    def took(self, kind: int, seconds: float) -> None:
        step = 0 if seconds <= _SHORTEST else min(_STEPS - 1, int(4 * log2(seconds / _SHORTEST)) + 1)
        counts = self._counts[kind]
        counts[step] += 1
        self._sums[kind] += 1
        self._heard[kind] += 1
        if self._sums[kind] >= _KEPT:
            self._counts[kind] = counts = [count // 2 for count in counts]
            self._sums[kind] = sum(counts)
        if self._sums[kind] >= ENOUGH and (self._heard[kind] >= _ANEW or self._found[kind] == 0.0):
            self._heard[kind] = 0
            self._found[kind] = self._find(counts, self._sums[kind])

    def quantile(self, kind: int) -> float:
        """Seconds; 0.0 while too few answers of this kind came."""
        return self._found[kind]

    def _find(self, counts: list[int], total: int) -> float:
        left = self._quantile * total
        for step, count in enumerate(counts):
            left -= count
            if left <= 0:
                return _SHORTEST * float(2 ** (step / 4))
        return _SHORTEST * float(2 ** (_STEPS / 4))


class Hedge:
    """When to try beside: after a time that is set, or after the quantile of what such requests take."""

    __slots__ = ("_fixed", "_heads")

    def __init__(self, config: HedgeConfig) -> None:
        found = isinstance(config.after, str)
        self._fixed = 0.0 if isinstance(config.after, str) else config.after
        self._heads = Heads(int(str(config.after)[1:]) / 100) if found else None

    def took(self, kind: int, seconds: float) -> None:
        if self._heads is not None:
            self._heads.took(kind, seconds)

    def after(self, kind: int) -> float:
        """Seconds to wait for the first try; 0.0: for ever, as long as that is not known."""
        return self._fixed if self._heads is None else self._heads.quantile(kind)

    def __repr__(self) -> str:
        return f"<Hedge after {'a quantile' if self._heads is not None else f'{self._fixed:g} s'}>"
