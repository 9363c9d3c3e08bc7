"""The last minutes, in bounded memory: a point every few seconds, and two moments in full to count from."""

from __future__ import annotations

from collections import deque
from itertools import pairwise
from typing import Any

from edgeproxy.observe.metrics import Dump
from edgeproxy.observe.top import TURN
from edgeproxy.supervisor.figures import DURATIONS, Figures, Point, breakdown, figures, point, rates, since, stored

POINTS = 60
RECENT = 8.0  # seconds at least that "now" is about: shorter ones jump about

_NOTHING = Figures({}, {}, {})
_ZERO = Point(0, 0, 0, 0, [])


class History:
    """``at`` is monotonic seconds throughout; it begins with nothing counted."""

    def __init__(self, at: float) -> None:
        self._points: deque[tuple[float, Point]] = deque([(at, _ZERO)], maxlen=POINTS + 1)
        self._older: tuple[float, Figures] = (at, _NOTHING)
        self._newer = self._older

    def add(self, at: float, dump: Dump) -> None:
        """Take a moment in."""
        now = figures(dump)
        self._points.append((at, point(now)))
        if at - self._newer[0] >= TURN:
            self._older, self._newer = self._newer, (at, now)

    def stats(self, at: float, dump: Dump) -> dict[str, Any]:
        """``now``: the last seconds; ``history``: a list for each rate, a value a point; ``window``: the last
        ``seconds`` split up; ``stored``: what the tiers hold."""
        now = figures(dump)
        bounds = now.bounds.get(DURATIONS, [])
        then, before = next((p for p in reversed(self._points) if at - p[0] >= RECENT), self._points[0])
        points = list(self._points)
        lines = [
            {"seconds": new[0] - old[0], **rates(new[1], old[1], new[0] - old[0], bounds)}
            for old, new in pairwise(points)
            if new[0] > old[0]
        ]
        since_then, full = self._older
        return {
            "now": {"seconds": at - then, **rates(point(now), before, max(at - then, 1e-3), bounds)},
            "history": lines,
            "window": {"seconds": at - since_then, **breakdown(since(now, full))},
            "stored": stored(now),
        }

    def __repr__(self) -> str:
        return f"<History of {len(self._points)} points>"
