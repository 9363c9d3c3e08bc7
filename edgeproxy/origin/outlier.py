"""Passive health: endpoints that fail real requests in a row are left out for a while. Pure: time is given."""

from __future__ import annotations

from edgeproxy.config.schema import OutlierConfig

FAILING_STATUSES: frozenset[int] = frozenset((502, 503, 504))
LONGEST = 10  # ejections are at most this many times eject_for


class Record:
    """What one endpoint's recent requests say about it. Times are monotonic seconds.

    An ejection lasts ``eject_for`` times the number of ejections in a row; a row ends when the endpoint has stayed in
    service for as long as it was last out.
    """

    __slots__ = ("_config", "_row", "ejected_until", "failures")

    def __init__(self, config: OutlierConfig | None) -> None:
        self._config = config
        self._row = 0
        self.failures = 0
        self.ejected_until = 0.0

    def success(self) -> None:
        self.failures = 0

    def failure(self, now: float) -> bool:
        """Count one; whether the endpoint has now earned an ejection."""
        self.failures += 1
        return self._config is not None and self.failures >= self._config.failures and not self.ejected(now)

    def eject(self, now: float) -> float:
        """Leave it out; the seconds it will be."""
        if self._config is None:
            return 0.0
        if now > self.ejected_until + self._row * self._config.eject_for:
            self._row = 0
        self._row = min(self._row + 1, LONGEST)
        self.failures = 0
        seconds = self._row * self._config.eject_for
        self.ejected_until = now + seconds
        return seconds

    def ejected(self, now: float) -> bool:
        return now < self.ejected_until

    def __repr__(self) -> str:
        return f"<Record {self.failures} failures, {self._row} ejections, out until {self.ejected_until:.3f}>"


def room(config: OutlierConfig | None, ejected: int, endpoints: int) -> bool:
    """Whether one more of ``endpoints`` may be ejected."""
    return config is not None and ejected + 1 <= config.max_ejected * endpoints
