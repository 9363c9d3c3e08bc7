"""Which endpoint takes the next request. Pure: members come with their weight and the requests they have in hand."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Callable, Sequence
from itertools import accumulate
from typing import Generic, Literal, Protocol, TypeVar

Method = Literal["least_request", "round_robin"]


class Member(Protocol):
    """What a balancer looks at."""

    weight: int
    in_flight: int


M = TypeVar("M", bound=Member)
M_co = TypeVar("M_co", bound=Member, covariant=True)


class Balancer(Protocol[M_co]):
    """Chooses among the members it was made with."""

    def pick(self) -> M_co: ...


class RoundRobin(Generic[M]):
    """Smooth weighted round robin, as nginx does it: weights 5, 1, 1 give a a b a c a a, not a a a a a b c."""

    __slots__ = ("_credit", "_members", "_total")

    def __init__(self, members: Sequence[M]) -> None:
        self._members = members
        self._credit = [0] * len(members)
        self._total = sum(member.weight for member in members)

    def pick(self) -> M:
        credit = self._credit
        best = 0
        for i, member in enumerate(self._members):
            credit[i] += member.weight
            if credit[i] > credit[best]:
                best = i
        credit[best] -= self._total
        return self._members[best]


class LeastRequest(Generic[M]):
    """The less busy of two drawn at random, by weight: as good as looking at all, without all rushing to the idlest
    (Mitzenmacher, The Power of Two Choices in Randomized Load Balancing, 2001). ``draw`` gives numbers in [0, 1).
    """

    __slots__ = ("_count", "_draw", "_members", "_sums")

    def __init__(self, members: Sequence[M], draw: Callable[[], float] = random.random) -> None:
        self._members = members
        self._count = len(members)
        self._draw = draw
        weights = [member.weight for member in members]
        self._sums = list(accumulate(weights)) if len(set(weights)) > 1 else None

    def pick(self) -> M:
        members = self._members
        if self._count == 1:
            return members[0]
        i, j = self._two()
        first, second = members[i], members[j]
        # in_flight / weight, without dividing; a tie goes to the first, so an idle pool shares by weight.
        return second if second.in_flight * first.weight < first.in_flight * second.weight else first

    def _two(self) -> tuple[int, int]:
        """Two different positions, each drawn by weight."""
        draw, sums = self._draw, self._sums
        if sums is None:
            i = int(draw() * self._count)
            j = int(draw() * (self._count - 1))
            return i, j + (j >= i)
        i = bisect_right(sums, draw() * sums[-1])
        weight = sums[i] - (sums[i - 1] if i else 0)
        point = draw() * (sums[-1] - weight)
        if point >= sums[i] - weight:
            point += weight  # step over the first one's share
        return i, bisect_right(sums, point)


def balancer(method: Method, members: Sequence[M]) -> Balancer[M]:
    """``members`` must not be empty."""
    return RoundRobin(members) if method == "round_robin" else LeastRequest(members)
