"""The generic cell rate algorithm (ITU-T I.371 annex A, virtual scheduling) with a bounded number of keys."""

from __future__ import annotations

from typing import Final

_LOST: Final = 1e-6  # seconds that float arithmetic may lose on whole intervals; they are no excess


class Limiter:
    """Allows ``burst`` events at once and one more each ``interval`` seconds, per key; one that costs n is n events.

    State is one number a key, the theoretical arrival time: when the key will have its whole burst back. It is kept in
    two generations of at most ``keys / 2``; a full one replaces the older. So at the bound the limiter forgets the
    keys it has not seen while ``keys / 2`` others came by, and those begin anew with a full burst; a key in use is
    never forgotten. A key takes 145 to 210 bytes, by its length (stages give keys of at most 64 bytes).
    """

    __slots__ = ("_burst", "_half", "_interval", "_new", "_old")

    def __init__(self, interval: float, burst: float, keys: int) -> None:
        self._interval = interval
        self._burst = interval * burst  # the burst in seconds: how far ahead of now an arrival time may lie
        self._half = max(1, keys // 2)
        self._new: dict[str | bytes, float] = {}
        self._old: dict[str | bytes, float] = {}

    def take(self, key: str | bytes, now: float, cost: float = 1.0) -> float:
        """Count one event at ``now`` (monotonic seconds).

        The key's theoretical arrival time if it is allowed, else minus the seconds to wait; a refusal is not counted.
        """
        arrival = self._new.get(key)
        if arrival is None:
            arrival = self._recall(key)
        if arrival < now:
            arrival = now
        arrival += cost * self._interval
        excess = arrival - now - self._burst
        if excess > _LOST:
            return -excess
        self._new[key] = arrival
        return arrival

    def charge(self, key: str | bytes, now: float, cost: float) -> None:
        """Count what has happened already, also beyond the burst: the key then waits until it has made up for it."""
        arrival = self._new.get(key)
        if arrival is None:
            arrival = self._recall(key)
        self._new[key] = max(arrival, now) + cost * self._interval

    def wait(self, key: str | bytes, now: float, cost: float = 1.0) -> float:
        """Seconds until an event would be allowed, 0 if it is now. Counts nothing."""
        arrival = self._new.get(key)
        if arrival is None:
            arrival = self._old.get(key, now)
        excess = max(arrival - now, 0.0) + cost * self._interval - self._burst
        return excess if excess > _LOST else 0.0

    def available(self, arrival: float, now: float) -> int:
        """How many events at once are left to a key with this theoretical arrival time."""
        left = self._burst - max(0.0, arrival - now)
        return max(0, int((left + _LOST) / self._interval))

    async def start(self) -> None:
        """Nothing to begin: all is at hand."""

    async def stop(self) -> None:
        """Nothing to end."""

    def _recall(self, key: str | bytes) -> float:
        """The key's state from the older generation, brought over into the newer."""
        arrival = self._old.get(key, 0.0)
        if len(self._new) >= self._half:
            self._old = self._new
            self._new = {}
        self._new[key] = arrival
        return arrival

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def __repr__(self) -> str:
        return f"<Limiter {len(self._new)}+{len(self._old)} of {2 * self._half} keys>"
