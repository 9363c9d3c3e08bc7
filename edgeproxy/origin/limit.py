"""How many requests an endpoint may have in hand, found by what their answers take. Pure.

After the gradient of Netflix's concurrency-limits (Gradient2Limit): while answers take what they usually take, the
limit grows; when they take longer, a queue has formed at the endpoint, and it shrinks with the ratio. What is usual
rises only while there can be no queue, with few requests in hand: otherwise one that stays comes to be usual, and the
limit no limit. An endpoint that has become slower has its limit fall to the least, and from there grow again.
"""

from __future__ import annotations

from math import sqrt
from typing import Final

FIRST: Final = 20
LEAST: Final = 4
LOW: Final = 8  # a limit at which what answers take is taken to be usual, whatever it was before
_RECENT: Final = 0.05  # what one answer weighs in what they take now
_USUAL: Final = 0.02  # and what that weighs in what is usual
_FEW: Final = 4  # times fewer in hand than might be: there is no queue
_TOLERATED: Final = 1.5  # answers may take that many times the usual
_SMOOTHED: Final = 0.2
_STEEPEST: Final = 0.5
_REFUSED: Final = 0.9  # what a refusal leaves of the limit


class Gradient:
    """``limit``: requests in hand, from LEAST to ``most``."""

    __slots__ = ("_exact", "_most", "_recent", "_usual", "limit")

    def __init__(self, most: int) -> None:
        self._most = float(most)
        self._exact = min(float(FIRST), self._most)
        self._recent = 0.0  # seconds; 0.0 until the first answer
        self._usual = 0.0
        self.limit = int(self._exact)

    def took(self, seconds: float, in_flight: int) -> int:
        """One answer's head came after that long, with so many in hand; the limit from now on."""
        if self._usual == 0.0:
            self._recent = self._usual = seconds
        recent = self._recent = self._recent + _RECENT * (seconds - self._recent)
        exact = self._exact
        if recent < self._usual or in_flight * _FEW <= exact or self.limit <= LOW:
            self._usual += _USUAL * (recent - self._usual)
        if in_flight >= exact / 2:  # a limit that nothing comes near to is not known to be too low
            ratio = min(1.0, max(_STEEPEST, _TOLERATED * self._usual / recent)) if recent > 0 else 1.0
            self._set(exact + _SMOOTHED * (exact * ratio + sqrt(exact) - exact))
        return self.limit

    def refused(self) -> int:
        """The endpoint said that it has too much to do, or nothing at all; the limit from now on."""
        self._set(self._exact * _REFUSED)
        return self.limit

    def _set(self, exact: float) -> None:
        self._exact = min(self._most, max(float(LEAST), exact))
        self.limit = int(min(self._exact, self._most))

    def __repr__(self) -> str:
        return f"<Gradient {self.limit}, usually {self._usual:.4f} s>"
