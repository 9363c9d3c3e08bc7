"""The less busy of two."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Generic

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.member import M
from edgeproxy.balance.two import Two


class LeastRequest(Generic[M]):
    """The less busy of two drawn at random, by weight: as good as looking at all, without all rushing to the idlest
    (Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001). ``draw`` gives numbers in [0, 1).
    """

    __slots__ = ("_draw", "_members", "_two")

    def __init__(self, members: Sequence[M], draw: Callable[[], float] = random.random) -> None:
        self._members = members
        self._two = Two([member.weight for member in members], draw)
        self._draw = draw

    def pick(self, ask: Ask) -> M:
        members = self._members
        if len(members) == 1:
            return members[0]
        i, j = self._two.take()
        first, second = members[i], members[j]
        if first.share < 1.0 and self._draw() >= first.share:
            return second
        if second.share < 1.0 and self._draw() >= second.share:
            return first
        # in_flight / weight, without dividing; a tie goes to the first, so an idle pool shares by weight.
        return second if second.in_flight * first.weight < first.in_flight * second.weight else first
