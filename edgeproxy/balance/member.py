"""What a balancer looks at, and what it is."""

from __future__ import annotations

from typing import Final, Protocol, TypeVar

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.pace import Pace

PASSED_OVER: Final = 1e6  # what a member costs times as much that is left out this time, for the share it may not take


class Member(Protocol):
    """``weight``: its part of the requests relative to the others. ``share``: how much of its part it may take now, 0
    to 1: less while it starts slowly or is on trial. ``in_flight``: requests it has in hand. ``pace``: what its answers
    took. ``key``: its name, the same on every node and after every restart."""

    weight: int
    share: float
    in_flight: int
    pace: Pace
    key: bytes


M = TypeVar("M", bound=Member)
M_co = TypeVar("M_co", bound=Member, covariant=True)


class Balancer(Protocol[M_co]):
    """Chooses among the members it was made with. Made anew when they change: what was learned is the members'."""

    def pick(self, ask: Ask) -> M_co: ...
