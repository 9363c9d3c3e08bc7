"""Two members drawn at random, by weight."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate


class Two:
    """Two different positions in ``weights``, of which there are two or more. ``draw`` gives numbers in [0, 1)."""

    __slots__ = ("_count", "_draw", "_sums")

    def __init__(self, weights: Sequence[int], draw: Callable[[], float]) -> None:
        self._count = len(weights)
        self._draw = draw
        self._sums: list[int] | None = list(accumulate(weights)) if len(set(weights)) > 1 else None

    def take(self) -> tuple[int, int]:
        """The positions in the order they were drawn."""
        draw, sums = self._draw, self._sums
        if sums is None:
            i = int(draw() * self._count)
            j = int(draw() * (self._count - 1))
            return i, j + 1 if j >= i else j
        i = bisect_right(sums, draw() * sums[-1])
        weight = sums[i] - (sums[i - 1] if i else 0)
        point = draw() * (sums[-1] - weight)
        if point >= sums[i] - weight:
            point += weight  # step over the first one's share
        return i, bisect_right(sums, point)
