"""The member that a model expects to answer first, as long as the model knows better."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from math import log
from typing import Final, Generic

from edgeproxy.balance.ask import Ask, Choice
from edgeproxy.balance.class_ewma import DRAWN, ClassEwma
from edgeproxy.balance.member import M
from edgeproxy.balance.rows import LEAST, row

# Rows by balance.rows to the natural logs, finite ones, of the seconds until an answer's head; None: it says nothing.
Predict = Callable[[list[list[float]]], Sequence[float] | None]

# Who chose: the model; a draw; the default, with which the model agreed or not; the default, as the model said nothing.
BY_MODEL: Final = "model"
BY_DRAW: Final = "drawn"
SAME: Final = "agreed"
OTHER: Final = "differed"
UNANSWERED: Final = "unanswered"

EXPLORED: Final = 0.02  # of the requests go to a member drawn: a model that only sees its favourites learns nothing new
SHARE_OF_NEW: Final = 0.005  # what one answer weighs in the rolling errors: some 200 count
ENOUGH: Final = 200  # answers before the model's word counts
LEAD: Final = 0.98  # of the plain error, below which trust is earned; it is lost above all of it
FURTHEST: Final = 10.0  # an error counts as no more, in the log
CROWDING: Final = 0.5  # times the log of what is in hand: nodes that believe the same must not all run to the same
UNASKED: Final = 1e9


class Trust:
    """Who has been nearer to the truth lately, the model or the plain expectation: rolling absolute errors of the log
    of the time, and whether the model's word counts. Outlives balancers: a pool has one."""

    __slots__ = ("answers", "deserved", "model", "plain")

    def __init__(self) -> None:
        self.answers = 0
        self.deserved = False
        self.model = 0.0
        self.plain = 0.0

    def took(self, choice: Choice, seconds: float) -> None:
        """What was chosen answered after ``seconds``."""
        predicted, expected = choice.predicted, choice.row[0]
        if predicted is None or expected <= log(LEAST):
            return  # somebody had nothing to say
        self.answers += 1
        truth = log(max(seconds, LEAST))
        share = max(SHARE_OF_NEW, 1.0 / self.answers)
        self.model += share * (min(abs(predicted - truth), FURTHEST) - self.model)
        self.plain += share * (min(abs(expected - truth), FURTHEST) - self.plain)
        most = self.plain if self.deserved else LEAD * self.plain
        self.deserved = self.answers >= ENOUGH and self.model <= most

    def __repr__(self) -> str:
        return f"<Trust error {self.model:.3f} of the model, {self.plain:.3f} without, of {self.answers} answers>"


class Learned(Generic[M]):
    """The least predicted time, the busier a little dearer, over the weight, of all members or of ten drawn;
    ``ClassEwma`` where the model says nothing or was further off than its expectation lately, and always with
    ``shadow``: then the model is only compared. ``explored``: the share of requests that go to a member drawn while the
    model chooses. ``draw`` gives numbers in [0, 1).
    """

    __slots__ = ("_draw", "_explored", "_members", "_plain", "_predict", "_shadow", "_trust")

    def __init__(
        self,
        members: Sequence[M],
        predict: Predict,
        trust: Trust,
        draw: Callable[[], float] = random.random,
        *,
        shadow: bool = False,
        explored: float = EXPLORED,
    ) -> None:
        self._members = list(members)
        self._predict: Predict = predict
        self._trust = trust
        self._draw: Callable[[], float] = draw
        self._shadow = shadow
        self._explored = explored
        self._plain: ClassEwma[M] = ClassEwma(members, draw)

    def pick(self, ask: Ask) -> M:
        if self._shadow or not self._trust.deserved:
            return self._compared(ask, self._plain.pick(ask))
        looked_at = self._some()
        rows = self._rows(looked_at, ask)
        times = self._predict(rows)
        if times is None:
            member = self._plain.pick(ask)
            ask.choice = Choice(member.key, self._rows([member], ask)[0], None, UNANSWERED)
            return member
        drawn = self._draw() < self._explored
        place = int(self._draw() * len(looked_at)) if drawn else self._best(looked_at, times)
        member = looked_at[place]
        ask.choice = Choice(member.key, rows[place], times[place], BY_DRAW if drawn else BY_MODEL)
        return member

    def _compared(self, ask: Ask, member: M) -> M:
        """The default's choice, beside which the model is asked."""
        looked_at = self._members if len(self._members) <= DRAWN else [member, *self._some()[1:]]
        rows = self._rows(looked_at, ask)
        times = self._predict(rows)
        place = looked_at.index(member)
        if times is None:
            ask.choice = Choice(member.key, rows[place], None, UNANSWERED)
        else:
            by = SAME if self._best(looked_at, times) == place else OTHER
            ask.choice = Choice(member.key, rows[place], times[place], by)
        return member

    def _some(self) -> list[M]:
        members = self._members
        if len(members) <= DRAWN:
            return members
        return [members[int(self._draw() * len(members))] for _ in range(DRAWN)]

    def _rows(self, members: list[M], ask: Ask) -> list[list[float]]:
        some = self._members[: 2 * DRAWN]  # of a pool with many, what the first ones have in hand
        in_hand = sum([member.in_flight for member in some]) / len(some)
        return [row(member, ask, in_hand) for member in members]

    def _best(self, members: list[M], times: Sequence[float]) -> int:
        best, least = 0, UNASKED + UNASKED
        for place, member in enumerate(members):
            cost = times[place] + self._handicap(member)
            if cost < least:
                best, least = place, cost
        return best

    def _handicap(self, member: M) -> float:
        if member.share < 1.0 and self._draw() >= member.share:
            return UNASKED
        return CROWDING * log(member.in_flight + 1) - log(member.weight)
