"""Of two the faster and less busy one."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, Generic

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.member import M
from edgeproxy.balance.two import Two

UNTRIED: Final = 1e6  # seconds a member is taken for that has its first request in hand and no answer yet


class PeakEwma(Generic[M]):
    """Of two drawn at random by weight, the one with the lower peak of its times, times what it has in hand and this
    request: as Finagle and Linkerd do it, with 10 s. A time above the peak is the new one at once, so that who becomes
    slow is left alone at once. ``draw`` gives numbers in [0, 1).
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
        now = ask.now
        return second if _cost(second, now) < _cost(first, now) else first


def _cost(member: M, now: float) -> float:
    """Weight has its say in the draw and again here: what is in hand counts by what a member is made for."""
    peak = member.pace.peak(now)
    if peak <= 0.0 and member.in_flight:
        peak = UNTRIED
    return peak * (member.in_flight + 1) / member.weight
