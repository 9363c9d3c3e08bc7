"""Who waits for a place at an endpoint: so many and no more, for so long and no longer, the better ranked first."""

from __future__ import annotations

import asyncio
from bisect import bisect_left, insort
from collections.abc import Callable
from itertools import count
from typing import Final

from edgeproxy.errors import EdgeError, Kind

LIKELY_PROGRAM: Final = 60  # of 100: the score from which on a client waits behind the others
RETRY_AFTER: Final = 1  # seconds

Ticket = tuple[int, int]  # the rank, 0 for clients like any, 1 for those that look like programs; and a number
_Place = tuple[Ticket, asyncio.Future[None]]


class Line:
    """``size``: how many may wait. A full line lets the last one go for one who comes before it. ``shed`` is told of
    all who get no place, and why: full, rank or late."""

    __slots__ = ("_numbers", "_shed", "_size", "_waiting")

    def __init__(self, size: int, shed: Callable[[str], None]) -> None:
        self._size = size
        self._shed = shed
        self._numbers = count()
        self._waiting: list[_Place] = []  # in the order of their tickets, which are all different

    def __len__(self) -> int:
        return len(self._waiting)

    def ticket(self, score: int) -> Ticket:
        """A place in the order, to be kept by one who is called and finds the place taken: behind all of its rank."""
        return (1 if score >= LIKELY_PROGRAM else 0, next(self._numbers))

    async def wait(self, ticket: Ticket, until: float) -> None:
        """Wait for a place to become free, until that time of the loop's. Raises EdgeError OVERLOADED."""
        waiting = self._waiting
        if len(waiting) >= self._size:
            if waiting[-1][0] < ticket:
                self._shed("full")
                raise overloaded("the line is full")
            self._let_go(waiting.pop()[1], "rank", "others go before it")
        loop = asyncio.get_running_loop()
        called: asyncio.Future[None] = loop.create_future()
        place = (ticket, called)
        insort(waiting, place)
        timer = loop.call_at(until, self._let_go, called, "late", "no place became free in time")
        try:
            await called
        except asyncio.CancelledError:
            if called.done() and not called.cancelled() and called.exception() is None:
                self.call()  # it was this one's turn, and it left: the next one's
            raise
        finally:
            timer.cancel()
            at = bisect_left(waiting, place)
            if at < len(waiting) and waiting[at][1] is called:
                del waiting[at]

    def call(self, places: int = 1) -> None:
        """So many places are free."""
        while self._waiting and places:
            called = self._waiting.pop(0)[1]
            if not called.done():
                called.set_result(None)
                places -= 1

    def _let_go(self, called: asyncio.Future[None], why: str, text: str) -> None:
        if not called.done():
            self._shed(why)
            called.set_exception(overloaded(text))

    def __repr__(self) -> str:
        return f"<Line {len(self._waiting)} of {self._size}>"


def overloaded(why: str) -> EdgeError:
    return EdgeError(Kind.OVERLOADED, "edge", why, retry_after=RETRY_AFTER)
