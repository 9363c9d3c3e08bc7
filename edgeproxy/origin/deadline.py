"""A time-out that is moved with every request and almost never fires."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final

NEVER: Final = float("inf")


class Deadline:
    """One timer, moved lazily: setting a later time is one assignment, and the timer looks when it rings.

    Times are the loop's, in seconds.
    """

    __slots__ = ("_at", "_expired", "_handle", "_loop", "_rings")

    def __init__(self, loop: asyncio.AbstractEventLoop, expired: Callable[[], None]) -> None:
        self._loop = loop
        self._expired = expired
        self._at = NEVER
        self._rings = NEVER
        self._handle: asyncio.TimerHandle | None = None

    def set(self, at: float) -> None:
        self._at = at
        if at < self._rings:
            self._arm()

    def cancel(self) -> None:
        self._at = self._rings = NEVER
        if self._handle is not None:
            self._handle.cancel()
            self._handle = None

    def _arm(self) -> None:
        if self._handle is not None:
            self._handle.cancel()
        self._rings = self._at
        self._handle = self._loop.call_later(max(0.001, self._at - self._loop.time()), self._ring)

    def _ring(self) -> None:
        self._handle = None
        self._rings = NEVER
        if self._loop.time() >= self._at:
            self._at = NEVER
            self._expired()
        elif self._at != NEVER:
            self._arm()

    def __repr__(self) -> str:
        return f"<Deadline in {self._at - self._loop.time():.3f} s>"
