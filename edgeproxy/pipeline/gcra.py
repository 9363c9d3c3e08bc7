"""The generic cell rate algorithm (ITU-T I.371 annex A, virtual scheduling) with a bounded number of keys."""

from __future__ import annotations

from collections.abc import Callable

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange


class Limiter:
    """Allows ``burst`` events at once and one more each ``interval`` seconds, per key.

    State is one number a key, the theoretical arrival time: when the key will have its whole burst back. It is kept in
    two generations of at most ``keys / 2``; a full one replaces the older. So at the bound the limiter forgets the
    keys it has not seen while ``keys / 2`` others came by, and those begin anew with a full burst; a key in use is
    never forgotten.
    """

    __slots__ = ("_half", "_interval", "_new", "_old", "_tolerance")

    def __init__(self, interval: float, burst: float, keys: int) -> None:
        self._interval = interval
        self._tolerance = interval * (burst - 1)
        self._half = max(1, keys // 2)
        self._new: dict[str | bytes, float] = {}
        self._old: dict[str | bytes, float] = {}

    def take(self, key: str | bytes, now: float) -> float:
        """Count one event at ``now`` (monotonic seconds).

        The key's theoretical arrival time if it is allowed, else minus the seconds to wait; a refusal is not counted.
        """
        arrival = self._new.get(key)
        if arrival is None:
            arrival = self._recall(key)
        if arrival < now:
            arrival = now
        excess = arrival - now - self._tolerance
        if excess > 1e-9:  # what float arithmetic loses on whole intervals is not an excess
            return -excess
        self._new[key] = arrival = arrival + self._interval
        return arrival

    def wait(self, key: str | bytes, now: float) -> float:
        """Seconds until an event would be allowed, 0 if it is now. Counts nothing."""
        arrival = self._new.get(key) or self._old.get(key, now)
        return max(0.0, arrival - now - self._tolerance)

    def available(self, arrival: float, now: float) -> int:
        """How many events at once are left to a key with this theoretical arrival time."""
        if arrival <= now:
            return int(self._tolerance / self._interval + 1.000001)
        return max(0, int((self._tolerance - (arrival - now)) / self._interval + 1.000001))

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


class Gate:
    """Lets exchanges through a limiter, by their ``key``; ``refuse`` makes the answer from the seconds to wait."""

    def __init__(self, limiter: Limiter, key: Callable[[Exchange], bytes], refuse: Callable[[float], Response]) -> None:
        self._limiter = limiter
        self._key = key
        self._refuse = refuse

    def enter(self, x: Exchange) -> Response | None:
        arrival = self._limiter.take(self._key(x), x.started)
        if arrival < 0:
            return self._refuse(-arrival)
        x.arrival = arrival
        return None
