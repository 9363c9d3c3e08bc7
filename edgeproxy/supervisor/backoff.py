"""How long to wait before a worker that died is started again."""

from __future__ import annotations

FIRST = 0.5
LONGEST = 30.0
GOOD_LIFE = 60.0


class Backoff:
    """0 s after a good life, then 0.5, 1, 2 … 30 s for as long as lives are short."""

    def __init__(self) -> None:
        self._next = 0.0

    def after(self, lived: float) -> float:
        """Seconds to wait, after a life of ``lived`` seconds."""
        if lived >= GOOD_LIFE:
            self._next = 0.0
        delay = self._next
        self._next = min(max(FIRST, delay * 2), LONGEST)
        return delay

    def __repr__(self) -> str:
        return f"<Backoff {self._next:g}s next>"
