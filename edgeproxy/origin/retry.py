"""When a request may be tried again. Pure: time is given."""

from __future__ import annotations

from collections import deque

from edgeproxy.errors import EdgeError

WINDOW = 10  # seconds over which requests are counted
ALWAYS = 3  # retries a window that a quiet pool may make whatever its share


class Budget:
    """Retries as a share of recent requests, so that they cannot multiply an outage.

    ``share`` of the requests of the last 10 s, and a few more. Times are monotonic seconds.
    """

    __slots__ = ("_next", "_requests", "_share", "_spent", "_window")

    def __init__(self, share: float) -> None:
        self._share = share
        self._requests = 0
        self._spent = 0
        self._window: deque[tuple[int, int]] = deque([(0, 0)] * (WINDOW - 1), maxlen=WINDOW - 1)
        self._next = 0.0

    def request(self, now: float) -> None:
        """Count one request; called for each, tries not included."""
        if now >= self._next:
            self._turn(now)
        self._requests += 1

    def spend(self, now: float) -> bool:
        """Whether one more retry may be made; if so, it counts as made."""
        if now >= self._next:
            self._turn(now)
        requests = self._requests + sum(count for count, _ in self._window)
        spent = self._spent + sum(count for _, count in self._window)
        if self._share == 0 or spent >= self._share * requests + ALWAYS:
            return False
        self._spent += 1
        return True

    def _turn(self, now: float) -> None:
        """Begin a new second."""
        passed = min(int(now - self._next) + 1, WINDOW) if self._next else WINDOW
        self._window.append((self._requests, self._spent))
        self._window.extend([(0, 0)] * (passed - 1))
        self._requests = self._spent = 0
        self._next = float(int(now) + 1)

    def __repr__(self) -> str:
        requests = self._requests + sum(count for count, _ in self._window)
        spent = self._spent + sum(count for _, count in self._window)
        return f"<Budget {spent} retries of {requests} requests>"


def may_repeat(error: EdgeError, *, sent: bool, repeatable: bool) -> bool:
    """Whether a request that failed may be made again at all.

    ``sent``: some of it may have reached the origin. ``repeatable``: it is idempotent and can be sent again in full.
    What was never sent may always go elsewhere; what was, only if repeating it is harmless (RFC 9110 §9.2.2).
    """
    return error.retryable and (repeatable or not sent)
