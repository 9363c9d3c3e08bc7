"""The member that is expected to answer this kind of request first."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, Generic

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.member import PASSED_OVER, M

DRAWN: Final = 10  # of more than so many members, so many are looked at
LEAST: Final = 1e-6  # seconds: where nobody knows this kind yet, what is in hand and other kinds decide


class ClassEwma(Generic[M]):
    """The least expected time of this kind times what the member has in hand and this request, over its weight: of all
    members, or of ten drawn where there are more. ``draw`` gives numbers in [0, 1).
    """

    __slots__ = ("_count", "_draw", "_looks", "_members", "_paces")

    def __init__(self, members: Sequence[M], draw: Callable[[], float] = random.random) -> None:
        self._members = list(members)
        self._paces = [member.pace for member in members]
        self._count = len(members)
        self._looks = min(self._count, DRAWN)
        self._draw = draw

    def pick(self, ask: Ask) -> M:
        members, paces, count, draw = self._members, self._paces, self._count, self._draw
        kind, now = ask.kind, ask.now
        place = int(draw() * count)  # the first of equals is drawn: nodes that know nothing yet must not agree
        best = members[place]
        least = -1.0
        for _ in range(self._looks):
            member, pace = members[place], paces[place]
            cost = (pace.expected(kind, now) + LEAST * pace.ratio) * (member.in_flight + 1) / member.weight
            if member.share < 1.0 and draw() >= member.share:
                cost *= PASSED_OVER
            if cost < least or least < 0.0:
                best, least = member, cost
            place = int(draw() * count) if count > DRAWN else (place + 1) % count
        return best
