"""When a request may be tried again. Pure: time is given."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from math import ceil
from typing import Final

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.dates import parse_date

WINDOW: Final = 10  # seconds over which requests are counted
ALWAYS: Final = 3  # retries a window that a quiet pool may make whatever its share

# What the configuration calls the ways to fail before an answer.
_KINDS: Final[dict[str, tuple[Kind, ...]]] = {
    "connect": (Kind.CONNECT_REFUSED, Kind.CONNECT_TIMEOUT, Kind.TLS),
    "lost": (Kind.CONNECTION_LOST, Kind.RESPONSE_INCOMPLETE, Kind.RESPONSE_INVALID),
    "timeout": (Kind.RESPONSE_TIMEOUT,),
}


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

    def left(self, now: float) -> int:
        """How many more retries may be made."""
        if now >= self._next:
            self._turn(now)
        requests, spent = self._sums()
        return max(0, ceil(self._share * requests + ALWAYS - spent)) if self._share > 0 else 0

    def spend(self, now: float) -> bool:
        """Whether one more retry may be made; if so, it counts as made."""
        if not self.left(now):
            return False
        self._spent += 1
        return True

    def _sums(self) -> tuple[int, int]:
        requests, spent = self._requests, self._spent
        for before, spent_before in self._window:
            requests += before
            spent += spent_before
        return requests, spent

    def _turn(self, now: float) -> None:
        """Begin a new second."""
        passed = min(int(now - self._next) + 1, WINDOW) if self._next else WINDOW
        self._window.append((self._requests, self._spent))
        self._window.extend([(0, 0)] * (passed - 1))
        self._requests = self._spent = 0
        self._next = float(int(now) + 1)

    def __repr__(self) -> str:
        requests, spent = self._sums()
        return f"<Budget {spent} retries of {requests} requests>"


def failures(words: Iterable[str | int]) -> tuple[frozenset[Kind], frozenset[int]]:
    """The errors and the statuses that a configuration's words stand for."""
    told = list(words)
    kinds = [kind for word in told if isinstance(word, str) for kind in _KINDS[word]]
    return frozenset(kinds), frozenset(word for word in told if isinstance(word, int))


def may_repeat(error: EdgeError, *, sent: bool, repeatable: bool) -> bool:
    """Whether a request that failed may be made again at all.

    ``sent``: some of it may have reached the origin. ``repeatable``: it is idempotent and can be sent again in full.
    What was never sent may always go elsewhere; what was, only if repeating it is harmless (RFC 9110 §9.2.2).
    """
    return error.retryable and (repeatable or not sent)


def retry_after(value: bytes | None, wall: float) -> float:
    """Seconds for which an answer asks to be left alone (RFC 9110 §10.2.3), 0.0 if it does not; ``wall`` is now."""
    if value is None:
        return 0.0
    if value.isdigit():
        return float(value) if len(value) <= 9 else 0.0
    date = parse_date(value, wall)
    return 0.0 if date is None else max(0.0, date - wall)
