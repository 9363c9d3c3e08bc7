"""Purges on their way through L2: what they are about is hidden from the first moment, though it still lies there."""

from __future__ import annotations

from collections.abc import Collection

from edgeproxy.cache.key import url_of
from edgeproxy.cache.purge import Purge

SETTLING = 5.0  # seconds a purge is remembered behind its end: another worker may hear of it later, and write till then


class Shadow:
    """The purges under way, and those that have just ended. Those by URL cost one look-up, however many there are."""

    def __init__(self) -> None:
        self._urls: dict[bytes, float] = {}  # until when what was fetched is hidden; the latest purge counts
        self._others: list[Purge] = []
        self._ended: list[tuple[float, Purge]] = []

    def add(self, purge: Purge) -> None:
        """Hide what it is about."""
        if purge.kind == "url":
            self._urls[purge.value] = max(purge.at, self._urls.get(purge.value, 0.0))
        else:
            self._others.append(purge)

    def end(self, purge: Purge, now: float) -> None:
        """It has been done; ``now`` is monotonic time in seconds."""
        self._ended.append((now, purge))

    def settle(self, now: float) -> None:
        """Forget those that ended a while ago."""
        while self._ended and self._ended[0][0] < now - SETTLING:
            _, purge = self._ended.pop(0)
            if purge.kind != "url":
                self._others.remove(purge)
            elif self._urls.get(purge.value) == purge.at:
                del self._urls[purge.value]

    def hides(self, key: bytes, tags: Collection[bytes], began: float) -> bool:
        """Whether what was fetched from this wall time on has been purged since."""
        if self._urls:
            at = self._urls.get(url_of(key))
            if at is not None and began <= at:
                return True
        if self._others:
            return any(began <= purge.at and purge.matches(key, tags) for purge in self._others)
        return False

    def __len__(self) -> int:
        return len(self._urls) + len(self._others)
