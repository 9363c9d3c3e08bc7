"""What every way of counting has in common, wherever it keeps its counts."""

from __future__ import annotations

from typing import Protocol


class Counter(Protocol):
    """Counts per key against one limit. ``now`` is the clock's monotonic seconds, ``cost`` how much an event weighs.

    What a key has used up is told as its theoretical arrival time: when it will have its whole quota back.
    """

    def take(self, key: bytes, now: float, cost: float = 1.0) -> float:
        """Count an event: the key's theoretical arrival time (above 0) if it is allowed, else minus the seconds to
        wait (below 0). A refusal is not counted."""
        ...

    def charge(self, key: bytes, now: float, cost: float) -> None:
        """Count what has happened already, also beyond the limit: bytes sent, the price of an answer."""
        ...

    def wait(self, key: bytes, now: float, cost: float = 1.0) -> float:
        """Seconds until such an event would be allowed, 0 if it is now. Counts nothing."""
        ...

    def available(self, arrival: float, now: float) -> int:
        """How much at once is left to a key with this theoretical arrival time."""
        ...

    def __len__(self) -> int:
        """How many keys are remembered."""
        ...

    async def start(self) -> None:
        """Begin background work."""
        ...

    async def stop(self) -> None:
        """End background work."""
        ...
