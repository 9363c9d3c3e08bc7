"""What is usual: an exponentially weighted mean and deviation of one figure."""

from __future__ import annotations

from math import exp, sqrt
from typing import Final

STEADY: Final = 0.25  # a deviation is at least this share of the mean: three times the usual is eight deviations
OUTLIER: Final = 4.0  # deviations from the mean; what is farther off is learned as if it were no farther


class Baseline:
    """Learns a figure that is told at intervals, and says how unusual a value of it is.

    With each interval of ``dt`` seconds, by Finch, "Incremental calculation of weighted mean and variance" (2009)::

        weight   = max(1 - exp(-dt / memory), 1 / intervals so far)
        diff     = value - mean
        mean    += weight * diff
        variance = (1 - weight) * (variance + weight * diff²)

    So the first intervals make a plain mean, and later ones fade with the time constant ``memory``, in seconds. There
    is one mean for all hours: days and weeks have no shape here, which is why deviations are wide. ``least``: the
    smallest deviation, in the figure's own unit, which keeps a figure that never moved from being alarmed by little.
    """

    __slots__ = ("_least", "_memory", "intervals", "mean", "variance")

    def __init__(self, memory: float, least: float) -> None:
        self._memory = memory
        self._least = least
        self.mean = 0.0
        self.variance = 0.0
        self.intervals = 0

    @property
    def deviation(self) -> float:
        return max(sqrt(self.variance), STEADY * self.mean, self._least)

    def score(self, value: float) -> float:
        """How many deviations a value lies above the mean."""
        return (value - self.mean) / self.deviation

    def learn(self, value: float, seconds: float, *, within: float = OUTLIER, slower: float = 1.0) -> None:
        """Take in the value of one interval; no farther from the mean than ``within`` deviations, and with so many
        times less weight."""
        self.intervals += 1
        weight = max(1.0 - exp(-seconds / self._memory), 1.0 / self.intervals) / slower
        reach = within * self.deviation
        diff = max(-reach, min(reach, value - self.mean))
        self.mean += weight * diff
        self.variance = (1.0 - weight) * (self.variance + weight * diff * diff)

    def __repr__(self) -> str:
        return f"<Baseline {self.mean:.3g} ± {self.deviation:.3g} after {self.intervals}>"
