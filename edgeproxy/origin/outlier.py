"""Passive health: endpoints that fail real requests, or are far too slow, are left out for a while. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import Final

from edgeproxy.config.pools import OutlierConfig, SlowConfig

LONGEST: Final = 10  # ejections are at most this many times eject_for
SLICES: Final = 10  # the window moves by a tenth of itself
COMPARED: Final = 3  # endpoints that must have answered before one of them is called slow
PATIENT: Final = 2  # answers of 503 in a row before a Retry-After is heeded: one may be about what was asked for
_WEIGHT: Final = 0.1  # of one answer in an endpoint's time


class Record:
    """What one endpoint's recent requests say about it. Times are monotonic seconds.

    An ejection lasts ``eject_for`` times the number of ejections in a row; a row ends when the endpoint has stayed in
    service for as long as it was last out. ``seconds``: what its answers take, decayed; 0.0 until the first.
    """

    __slots__ = ("_config", "_row", "_slow_since", "_window", "ejected_until", "failures", "seconds")

    def __init__(self, config: OutlierConfig | None) -> None:
        self._config = config
        self._row = 0
        self._window = None if config is None else Window(config.window)
        self._slow_since = 0.0
        self.failures = 0
        self.ejected_until = 0.0
        self.seconds = 0.0

    def success(self, now: float) -> None:
        self.failures = 0
        if self._window is not None:
            self._window.add(now, failed=False)

    def failure(self, now: float) -> str:
        """Count one; what the endpoint has now earned an ejection by: ``failures``, ``error_share`` or "" (none)."""
        self.failures += 1
        config, window = self._config, self._window
        if config is None or window is None or self.ejected(now):
            return ""
        window.add(now, failed=True)
        if self.failures >= config.failures:
            return "failures"
        share = window.failed >= config.error_share * window.requests and window.requests >= config.requests
        return "error_share" if share else ""

    def took(self, seconds: float) -> None:
        """An answer's head came after that long."""
        self.seconds = self.seconds + _WEIGHT * (seconds - self.seconds) if self.seconds else seconds

    def slow(self, config: SlowConfig, usual: float, now: float) -> bool:
        """Whether it has been too slow for too long beside ``usual``, the pool's median. To be asked often."""
        if self.seconds <= config.factor * usual:
            self._slow_since = 0.0
            return False
        self._slow_since = self._slow_since or now
        return now - self._slow_since >= config.lasting

    def eject(self, now: float) -> float:
        """Leave it out; the seconds it will be."""
        if self._config is None:
            return 0.0
        if now > self.ejected_until + self._row * self._config.eject_for:
            self._row = 0
        self._row = min(self._row + 1, LONGEST)
        return self.rest(now, self._row * self._config.eject_for)

    def rest(self, now: float, seconds: float) -> float:
        """Leave it out for so long, and judge it anew afterwards."""
        self.failures = 0
        self.seconds = self._slow_since = 0.0
        if self._window is not None:
            self._window.clear()
        self.ejected_until = now + seconds
        return seconds

    def ejected(self, now: float) -> bool:
        return now < self.ejected_until

    def __repr__(self) -> str:
        return f"<Record {self.failures} failures, {self._row} ejections, out until {self.ejected_until:.3f}>"


class Window:
    """Requests and failures of the last ``length`` seconds, give or take a tenth."""

    __slots__ = ("_at", "_failed", "_requests", "_slice", "failed", "requests")

    def __init__(self, length: float) -> None:
        self._slice = length / SLICES
        self._at = 0
        self.clear()

    def clear(self) -> None:
        self._requests = [0] * SLICES
        self._failed = [0] * SLICES
        self.requests = 0
        self.failed = 0

    def add(self, now: float, *, failed: bool) -> None:
        at = int(now / self._slice)
        if at != self._at:
            self._turn(at)
        place = at % SLICES
        self._requests[place] += 1
        self.requests += 1
        if failed:
            self._failed[place] += 1
            self.failed += 1

    def _turn(self, at: int) -> None:
        """Forget the slices between the last one and this."""
        for old in range(max(self._at + 1, at - SLICES + 1), at + 1):
            place = old % SLICES
            self.requests -= self._requests[place]
            self.failed -= self._failed[place]
            self._requests[place] = self._failed[place] = 0
        self._at = at

    def __repr__(self) -> str:
        return f"<Window {self.failed} of {self.requests} failed>"


def usual(records: Sequence[Record]) -> float:
    """The median of what the endpoints' answers take; 0.0 while too few have answered."""
    known = [record.seconds for record in records if record.seconds]
    return median(known) if len(known) >= COMPARED else 0.0


def room(config: OutlierConfig | None, out: int, endpoints: int) -> bool:
    """Whether one more of ``endpoints`` may be ejected."""
    return config is not None and out + 1 <= config.max_ejected * endpoints
