"""What the script of a region's limits does with one key, in Python."""

from __future__ import annotations

from math import floor

from edgeproxy.limits.lease import Ask, Terms


class Ledger:
    """``arrival`` is the key's theoretical arrival time, None where Redis has none."""

    def __init__(self) -> None:
        self.arrival: float | None = None

    def call(self, now: float, terms: Terms, ask: Ask, *, settling: float = 0.0) -> tuple[float, float]:
        """What is leased, and in how many seconds the arrival time is."""
        if self.arrival is not None and self.arrival + settling <= now:
            self.arrival = None  # it has expired
        arrival = 0.0 if self.arrival is None else self.arrival
        if self.arrival is None or ask.must:
            arrival = max(arrival, now + ask.floor)
        if ask.owed > 0:
            arrival = max(arrival, now - ask.age) + ask.owed * terms.interval
        elif arrival > now:
            arrival = max(now, arrival + ask.owed * terms.interval)
        granted = 0
        if not settling:
            arrival = max(arrival, now)
            left = floor((now + terms.burst * terms.interval - arrival) / terms.interval + 1e-6)
            granted = max(0, min(ask.want, left))
            arrival += granted * terms.interval
        self.arrival = arrival
        return float(granted), max(0.0, arrival - now)
