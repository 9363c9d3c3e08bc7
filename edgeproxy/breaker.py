"""A circuit breaker: what fails again and again is left alone for a while, then tried once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

FAILURES = 3  # in a row
FIRST_WAIT, LONGEST_WAIT = 0.5, 8.0  # seconds: doubled with every trial that failed

State = Literal["closed", "open", "half-open"]


class Breaker:
    """Closed while all is well. It opens after ``most`` failures in a row; then :meth:`trial` tells when one call may
    find out (half-open), which closes it again or opens it for twice as long, from ``first`` to ``longest`` seconds. A
    new one is open, and a trial due, unless it is told to begin otherwise.
    """

    def __init__(
        self,
        monotonic: Callable[[], float],
        most: int = FAILURES,
        first: float = FIRST_WAIT,
        longest: float = LONGEST_WAIT,
        state: State = "open",
    ) -> None:
        self._monotonic = monotonic
        self.state = state
        self._most = most
        self._first = first
        self._longest = longest
        self._failures = 0
        self._wait = first
        self._until = monotonic()

    @property
    def closed(self) -> bool:
        return self.state == "closed"

    @property
    def wait(self) -> float:
        """Seconds until a trial is due; 0.0 if it is, or none is wanted."""
        return max(0.0, self._until - self._monotonic()) if self.state == "open" else 0.0

    def trial(self) -> bool:
        """Whether the caller may try now; nobody else may until it has said how that went."""
        if self.state != "open" or self._monotonic() < self._until:
            return False
        self.state = "half-open"
        return True

    def succeeded(self) -> bool:
        """A call went well; True if that closed the breaker. What comes late, while it is open, does not count."""
        self._failures = 0
        if self.state != "half-open":
            return False
        self.state = "closed"
        self._wait = self._first
        return True

    def failed(self) -> bool:
        """A call failed; True if that opened the breaker, which was closed."""
        self._failures += 1
        if self.state == "closed" and self._failures < self._most:
            return False
        opened = self.state == "closed"
        if self.state != "open":
            self._until = self._monotonic() + self._wait
            self._wait = min(self._longest, 2 * self._wait)
        self.state = "open"
        return opened

    def __repr__(self) -> str:
        return f"<Breaker {self.state}>"
