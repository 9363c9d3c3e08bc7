"""What could not be made, remembered for a while: a picture that costs a decoder its time limit costs it once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

LASTS: Final = 60.0  # seconds
MOST: Final = 4096

# Reasons that lie with the moment, not with the picture.
_PASSING: Final = frozenset(("queue", "failed"))


class Failures:
    """Why there is no variant, by a digest of the picture and the plan; ``now`` gives monotonic seconds."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self._known: dict[bytes, tuple[float, str]] = {}

    def note(self, key: bytes, reason: str) -> None:
        """It has just failed for this reason."""
        if reason in _PASSING:
            return
        self._known.pop(key, None)
        self._known[key] = self._now() + LASTS, reason
        if len(self._known) > MOST:
            del self._known[next(iter(self._known))]

    def reason(self, key: bytes) -> str:
        """Why it failed lately, "" if it did not."""
        until, reason = self._known.get(key, (0.0, ""))
        if reason and until <= self._now():
            del self._known[key]
            return ""
        return reason

    def __len__(self) -> int:
        return len(self._known)

    def __repr__(self) -> str:
        return f"<Failures {len(self._known)} of {MOST}>"
