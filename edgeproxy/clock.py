"""The one source of time. Everything that asks for the time is given a Clock, so tests can set it."""

from __future__ import annotations

import time
from collections.abc import Callable


class Clock:
    """Wall time for dates on the wire, monotonic time for durations; both in seconds.

    The attributes are the plain functions themselves: a call costs what ``time.monotonic()`` costs.
    """

    __slots__ = ("monotonic", "wall")

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self.wall = wall
        self.monotonic = monotonic


class ManualClock(Clock):
    """A clock that stands still until it is told to advance."""

    __slots__ = ("_now",)

    def __init__(self, start: float = 1_800_000_000.0) -> None:
        self._now = start
        super().__init__(wall=lambda: self._now, monotonic=lambda: self._now)

    def advance(self, seconds: float) -> None:
        self._now += seconds
