"""Priorities and regions made one order: whose turn it is, and how much of it must be fit before the next one joins."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Final, Generic, Protocol, TypeVar

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.member import Balancer, Member

# A level takes all requests while 1/1.4 (71 %) of its weight is fit: the rest is taken to have room for it. Envoy's
# overprovisioning factor (Envoy documentation, Load Balancing, "Priority levels").
OVERPROVISIONED: Final = 1.4
NOTHING: Final = 1e-9  # what rounding leaves of a share
MOST_ORDERS: Final = 256  # remembered; more are worked out again


class Placed(Member, Protocol):
    """``priority``: 0 is asked first. ``region``: where it is, "" for nowhere in particular."""

    priority: int
    region: str


P = TypeVar("P", bound=Placed)


class Level(Generic[P]):
    """The members of one priority in one region, or in several that an order does not tell apart.

    ``fit``: those that may take requests. ``available``: how much of all requests the level could take, 0 to 1; of one
    that starts slowly, its share counts. ``turn``: what chooses among the fit ones, None until it is needed.
    """

    __slots__ = ("available", "fit", "members", "priority", "regions", "turn")

    def __init__(self, priority: int, regions: tuple[str, ...], members: list[P], fit: list[P]) -> None:
        self.priority = priority
        self.regions = regions
        self.members = members
        self.fit = fit
        self.turn: Balancer[P] | None = None
        weight = sum([member.weight for member in members])
        self.available = min(1.0, OVERPROVISIONED * sum([member.weight * member.share for member in fit]) / weight)

    def __repr__(self) -> str:
        return f"<Level {self.priority} {'/'.join(self.regions)} {len(self.fit)} of {len(self.members)} fit>"


class Order(Generic[P]):
    """The levels for clients with the same order of regions, first ones first.

    ``sums`` and ``turns``: a number below a sum, and not below the one before, is its balancer's turn.
    """

    __slots__ = ("levels", "sums", "turns")

    def __init__(self, levels: list[Level[P]], sums: list[float], turns: list[Balancer[P]]) -> None:
        self.levels = levels
        self.sums = sums
        self.turns = turns


class Levels(Generic[P]):
    """Chooses a level, and by its balancer a member. Made anew when members come, go, or change in fitness.

    Of ``members``, which must not be empty, ``fit`` may take requests; where none may, all of the first level are used:
    one that seems broken answers more often than none does. ``make`` gives the balancer of some of them. ``draw`` gives
    numbers in [0, 1).
    """

    __slots__ = ("_apart", "_draw", "_make", "_orders", "_together")

    def __init__(
        self,
        members: Sequence[P],
        fit: Sequence[P],
        make: Callable[[Sequence[P]], Balancer[P]],
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._make: Callable[[Sequence[P]], Balancer[P]] = make
        self._draw: Callable[[], float] = draw
        able = set(fit)
        apart: dict[tuple[int, str], list[P]] = {}
        for member in members:
            apart.setdefault((member.priority, member.region), []).append(member)
        self._apart: list[Level[P]] = [
            Level(priority, (region,), there, [member for member in there if member in able])
            for (priority, region), there in apart.items()
        ]
        self._together: dict[tuple[int, tuple[str, ...]], Level[P]] = {}
        self._orders: dict[tuple[str, ...], Order[P]] = {}

    def pick(self, ask: Ask) -> P:
        """The next one of the levels in the order of ``ask.regions``; where that is empty, of the priorities."""
        order = self._order(ask.regions)
        turns = order.turns
        if len(turns) == 1:
            return turns[0].pick(ask)
        drawn, sums = self._draw(), order.sums
        at = 0
        while drawn >= sums[at]:
            at += 1
        return turns[at].pick(ask)

    def ranked(self, ask: Ask) -> list[list[P]]:
        """The fit members of each level, in order: who may take what another one could not."""
        return [level.fit for level in self._order(ask.regions).levels]

    def _order(self, regions: tuple[str, ...]) -> Order[P]:
        order = self._orders.get(regions)
        if order is None:
            if len(self._orders) >= MOST_ORDERS:
                self._orders.clear()
                self._together.clear()
            order = self._orders[regions] = self._shared(self._arranged(regions))
        return order

    def _arranged(self, regions: tuple[str, ...]) -> list[Level[P]]:
        """The levels in that order of regions; all that it does not name are one."""
        rank = {region: at for at, region in enumerate(regions)}
        places: dict[tuple[int, int], list[Level[P]]] = {}
        for level in self._apart:
            places.setdefault((level.priority, rank.get(level.regions[0], len(regions))), []).append(level)
        return [self._one(places[place]) for place in sorted(places)]

    def _one(self, levels: list[Level[P]]) -> Level[P]:
        """Several levels as one, the same each time."""
        if len(levels) == 1:
            return levels[0]
        priority, regions = levels[0].priority, tuple([level.regions[0] for level in levels])
        one = self._together.get((priority, regions))
        if one is None:
            members = [member for level in levels for member in level.members]
            fit = [member for level in levels for member in level.fit]
            one = self._together[priority, regions] = Level(priority, regions, members, fit)
        return one

    def _shared(self, levels: list[Level[P]]) -> Order[P]:
        """What each level takes: all that it can of what those before it leave."""
        total = min(1.0, sum([level.available for level in levels]))
        if total == 0:
            return Order(levels, [1.0], [self._make(levels[0].members)])
        sums: list[float] = []
        turns: list[Balancer[P]] = []
        taken = 0.0
        for level in levels:
            share = min(1.0 - taken, level.available / total)
            if share > NOTHING:
                taken += share
                sums.append(taken)
                turns.append(self._turn(level))
        sums[-1] = 1.0
        return Order(levels, sums, turns)

    def _turn(self, level: Level[P]) -> Balancer[P]:
        """The level's balancer, one in all orders: what it keeps count of is the members'."""
        turn = level.turn
        if turn is None:
            turn = level.turn = self._make(level.fit)
        return turn

    def __repr__(self) -> str:
        return f"<Levels {self._apart}, {len(self._orders)} orders>"
