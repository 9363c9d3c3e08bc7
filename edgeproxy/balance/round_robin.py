"""Members take turns."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from heapq import heapify, heapreplace
from typing import Final, Generic

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.member import M

SPREAD: Final = 0.6180339887498949  # the golden ratio's: multiples of it, without their whole part, lie evenly apart
MOST_PASSED: Final = 16  # members passed over in one turn


class RoundRobin(Generic[M]):
    """Turns by weight, the earliest due first: a member of weight 5 is due five times while one of weight 1 is once,
    and they start apart, so that 5, 1, 1 gives a a c a a b a and not a a a a a b c. ``draw`` gives numbers in [0, 1).
    """

    __slots__ = ("_draw", "_due", "_even", "_members", "_next")

    def __init__(self, members: Sequence[M], draw: Callable[[], float] = random.random) -> None:
        self._members = members
        self._draw = draw
        self._next = 0
        self._even = len({member.weight for member in members}) == 1
        self._due: list[tuple[float, int]] = []
        if not self._even:
            self._due = [(i * SPREAD % 1.0 / member.weight, i) for i, member in enumerate(members)]
            heapify(self._due)

    def pick(self, ask: Ask) -> M:
        for _ in range(MOST_PASSED):
            member = self._members[self._turn()]
            if member.share >= 1.0 or self._draw() < member.share:
                break
        return member

    def _turn(self) -> int:
        if self._even:
            i = self._next
            self._next = i + 1 if i + 1 < len(self._members) else 0
            return i
        due, i = self._due[0]
        heapreplace(self._due, (due + 1.0 / self._members[i].weight, i))
        return i
