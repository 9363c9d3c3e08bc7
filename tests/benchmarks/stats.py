"""From interleaved pairs to one figure: medians, and the ratio with its spread. Quantiles of many values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Ratio:
    """Ours over the peer's, of all pairs. No pair is dropped: ``low`` and ``high`` are the worst and best seen."""

    ours: float
    peer: float
    median: float
    low: float
    high: float

    @classmethod
    def of(cls, ours: Sequence[float], peer: Sequence[float]) -> Ratio:
        """The i-th values of both were measured one after the other; each such pair gives one ratio.

        Raises ValueError for no pairs, unequal counts, or a value that is not above zero.
        """
        if not ours or len(ours) != len(peer):
            raise ValueError(f"pairs need equal counts above zero: {len(ours)} and {len(peer)}")
        if min(*ours, *peer) <= 0:
            raise ValueError("a measured value must be above zero")
        ratios = [a / b for a, b in zip(ours, peer, strict=True)]
        return cls(median(ours), median(peer), median(ratios), min(ratios), max(ratios))


@dataclass(frozen=True, slots=True)
class Target:
    """What a ratio has to reach, and what it should."""

    must: float
    aim: float
    higher_is_better: bool = False

    def reached(self, ratio: float) -> str:
        """``aim``, ``must`` or ``no``."""
        sign = -1 if self.higher_is_better else 1
        if sign * ratio <= sign * self.aim:
            return "aim"
        return "must" if sign * ratio <= sign * self.must else "no"


def quantile(values: Sequence[float], q: float) -> float:
    """The smallest value that so large a share of all does not exceed: nearest rank. Raises ValueError for none."""
    if not values:
        raise ValueError("no values have no quantile")
    return sorted(values)[max(0, math.ceil(q * len(values)) - 1)]
