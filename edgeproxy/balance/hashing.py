"""The same key to the same member, and no member more than its part of the load.

A ring (Karger et al., Consistent Hashing and Random Trees, 1997) with bounded loads (Mirrokni, Thorup, Zadimoghaddam,
Consistent Hashing with Bounded Loads, 2016). Not Maglev: its table moves keys between members that stayed when another
leaves, is written anew whenever one does (65,537 places, in the way of requests), and says nothing of who is next.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final, Generic

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.member import Balancer, M

POINTS: Final = 20  # on the ring, of a member of middling weight: what more would even out, the bound on loads does
MOST_POINTS: Final = 1_000  # of the heaviest
REMEMBERED: Final = 4_096  # members whose points are not worked out again
STEPS: Final = 64  # points looked at behind a key's own: then the load is taken as it is
COUNTED: Final = 32  # members counted a request, on average: of more, what all have in hand is counted now and then
RANGE: Final = float(2**64)


class Hashing(Generic[M]):
    """Consistent hashing with bounded loads. A member takes what falls to it on the ring while it has less in hand than
    ``load`` times its part of what all have; else the next one on the ring does. ``other`` chooses for requests without
    a key.
    """

    __slots__ = ("_counts", "_in_hand", "_load", "_members", "_other", "_owners", "_points", "_weight")

    def __init__(self, members: Sequence[M], load: float, other: Balancer[M]) -> None:
        self._members = list(members)
        self._load = load
        self._other = other
        self._weight = sum([member.weight for member in members])
        self._counts = 0  # picks until what is in hand is counted again
        self._in_hand = 0
        self._owners: dict[float, int] = {}
        for place, member in enumerate(members):
            count = min(MOST_POINTS, max(1, round(POINTS * member.weight * len(members) / self._weight)))
            self._owners.update(dict.fromkeys(points(member.key, count), place))
        self._points = sorted(self._owners)

    def pick(self, ask: Ask) -> M:
        if not ask.key:
            return self._other.pick(ask)
        members, ring = self._members, self._points
        own, trial = _numbers(ask.key)
        at = bisect_right(ring, own)
        allowed = self._load * (self._all_in_hand() + 1) / self._weight
        first: M | None = None
        for step in range(at, at + min(STEPS, len(ring))):
            member = members[self._owners[ring[step % len(ring)]]]
            if member.share < 1.0 and trial >= member.share:
                continue  # the same keys each time: what a member on trial may take stays with it
            if member.in_flight < max(1.0, allowed * member.weight):
                return member
            if first is None:
                first = member
        return members[self._owners[ring[at % len(ring)]]] if first is None else first

    def _all_in_hand(self) -> int:
        if self._counts == 0:
            self._counts = len(self._members) // COUNTED
            self._in_hand = sum([member.in_flight for member in self._members])
        else:
            self._counts -= 1
        return self._in_hand


@lru_cache(maxsize=REMEMBERED)
def points(key: bytes, count: int) -> tuple[float, ...]:
    """A member's first ``count`` places on the ring, each in [0, 1): the more it has, the same ones come first."""
    found: list[float] = []
    block = 0
    while len(found) < count:
        digest = blake2b(b"%d " % block + key, person=b"edgeproxy ring").digest()
        found += [int.from_bytes(digest[i : i + 8], "big") / RANGE for i in range(0, 64, 8)]
        block += 1
    return tuple(found[:count])


def _numbers(key: bytes) -> tuple[float, float]:
    """Where a key lies on the ring, and another number that has nothing to do with it; both in [0, 1)."""
    digest = blake2b(key, digest_size=16, person=b"edgeproxy key").digest()
    return int.from_bytes(digest[:8], "big") / RANGE, int.from_bytes(digest[8:], "big") / RANGE
