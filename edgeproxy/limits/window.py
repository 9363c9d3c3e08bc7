"""The sliding window counter: so many in any period, within the width of a slice."""

from __future__ import annotations

from typing import Final

from edgeproxy.pipeline.memo import Memo

SLICES: Final = 8  # of a period
_KEPT: Final = SLICES + 1  # the slice under way, and those before it that the period reaches into
_LOST: Final = 1e-6  # what float arithmetic may lose


class _Counts:
    """What a key has used in each slice: a ring, and the number of the slice it was last moved on to."""

    __slots__ = ("last", "ring")

    def __init__(self) -> None:
        self.last = 0
        self.ring = [0.0] * _KEPT


class Window:
    """Allows ``limit`` in any ``period`` seconds, per key, however it is spread within them.

    The period is cut into eight slices, and events are counted by slice. A slice leaves the count as a whole, once all
    of it is a period ago, so an event counts for one period at least and for nine eighths of it at most. The error is
    on one side: never more than ``limit`` passes in any period, and whoever asks for no more than ``limit`` in any nine
    eighths of it is never refused. (Weighing the oldest slice by how much of it is still in the period is exact for
    even traffic, and lets through nearly twice the limit of who knows when to ask.)

    At most ``keys`` keys are remembered, as in the other limiter; one takes 350 to 600 bytes, by its length and by how
    many of its slices are used.
    """

    __slots__ = ("_interval", "_keys", "_limit", "_slice")

    def __init__(self, period: float, limit: float, keys: int) -> None:
        self._limit = limit
        self._interval = period / limit
        self._slice = period / SLICES
        self._keys: Memo[bytes, _Counts] = Memo(_begin, keys)

    def take(self, key: bytes, now: float, cost: float = 1.0) -> float:
        """Count one event at ``now`` (monotonic seconds).

        If it is allowed, when the key would have its whole limit back, were it to come back evenly; else minus the
        seconds to wait. A refusal is not counted.
        """
        counts = self._keys[key]
        used = self._move(counts, now) + cost
        if used > self._limit + _LOST:
            return -self._until(counts, now, used - self._limit)
        counts.ring[counts.last % _KEPT] += cost
        return now + used * self._interval

    def charge(self, key: bytes, now: float, cost: float) -> None:
        """Count what has happened already, also beyond the limit; a period later it is forgotten as a whole."""
        counts = self._keys[key]
        self._move(counts, now)
        counts.ring[counts.last % _KEPT] += cost

    def wait(self, key: bytes, now: float, cost: float = 1.0) -> float:
        """Seconds until an event would be allowed, 0 if it is now. Counts nothing."""
        if key not in self._keys:
            return 0.0
        counts = self._keys[key]
        excess = self._move(counts, now) + cost - self._limit
        return self._until(counts, now, excess) if excess > _LOST else 0.0

    def available(self, arrival: float, now: float) -> int:
        """How much is left to a key that would have its whole limit back at ``arrival``."""
        return max(0, int(self._limit - max(0.0, arrival - now) / self._interval + _LOST))

    async def start(self) -> None:
        """Nothing to begin: all is at hand."""

    async def stop(self) -> None:
        """Nothing to end."""

    def _move(self, counts: _Counts, now: float) -> float:
        """Move a key's ring on to the slice under way. What the key has used in the slices it holds."""
        number = int(now / self._slice)
        ring = counts.ring
        if number > counts.last:  # what began earlier may be counted later
            for passed in range(max(counts.last + 1, number - SLICES), number + 1):
                ring[passed % _KEPT] = 0.0
            counts.last = number
        return sum(ring)

    def _until(self, counts: _Counts, now: float, excess: float) -> float:
        """Seconds until as much as the excess has left the ring; a whole ring's time if it never holds so much."""
        oldest = counts.last - SLICES
        for number in range(oldest, counts.last + 1):
            excess -= counts.ring[number % _KEPT]
            if excess <= _LOST:
                return max((number + _KEPT) * self._slice - now, _LOST)
        return (counts.last + _KEPT) * self._slice - now

    def __len__(self) -> int:
        return len(self._keys)

    def __repr__(self) -> str:
        return f"<Window of {self._limit:g} in {self._slice * SLICES:g} s, {len(self._keys)} keys>"


def _begin(_: bytes) -> _Counts:
    return _Counts()
