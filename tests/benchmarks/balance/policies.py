"""What is compared: the proxy's balancers, and what is left of the default when a part of it is taken away."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from edgeproxy.balance.ask import Ask, Choice
from edgeproxy.balance.class_ewma import ClassEwma
from edgeproxy.balance.learned import Learned, Predict, Trust
from edgeproxy.balance.least_request import LeastRequest
from edgeproxy.balance.member import Balancer, M
from edgeproxy.balance.peak_ewma import PeakEwma
from edgeproxy.balance.round_robin import RoundRobin
from edgeproxy.training.queueing import Make, Seen


@dataclass(frozen=True)
class Policy:
    """``kinds``: whether requests are told apart. ``offered``: its name in configuration, "" for what has none."""

    name: str
    make: Make
    kinds: bool = True
    offered: str = ""


class Pair(ClassEwma[M]):
    """The default, of two members only."""

    def __init__(self, members: Sequence[M], draw: Callable[[], float] = random.random) -> None:
        super().__init__(members, draw)
        self._all = members

    def pick(self, ask: Ask) -> M:
        i = int(self._draw() * len(self._all))
        j = int(self._draw() * (len(self._all) - 1))
        return ClassEwma([self._all[i], self._all[j + (j >= i)]], self._draw).pick(ask)


class Always(Trust):
    """Takes the model's word whatever it is worth."""

    def __init__(self) -> None:
        super().__init__()
        self.deserved = True

    def took(self, choice: Choice, seconds: float) -> None:
        """Nothing changes its mind."""


def plain(kind: Callable[[Sequence[Seen], Callable[[], float]], Balancer[Seen]]) -> Make:
    """A policy that heeds no model."""

    def make(members: Sequence[Seen], draw: Callable[[], float], trust: Trust, /) -> Balancer[Seen]:
        return kind(members, draw)

    return make


def learned(predict: Predict, *, always: bool = False) -> Make:
    """The model's choice, while it deserves trust or ``always``."""

    def make(members: Sequence[Seen], draw: Callable[[], float], trust: Trust, /) -> Balancer[Seen]:
        return Learned(members, predict, Always() if always else trust, draw)

    return make


LEARNED = "learned"
REFERENCE = Policy("less busy of two, peak EWMA", plain(PeakEwma), offered="peak_ewma")
DEFAULT = Policy("class EWMA, of all ten", plain(ClassEwma), offered="class_ewma")
OFFERED = (
    Policy("in turns", plain(RoundRobin), offered="round_robin"),
    Policy("less busy of two", plain(LeastRequest), offered="least_request"),
    REFERENCE,
    DEFAULT,
)
WITHOUT = (
    Policy("class EWMA, without kinds", plain(ClassEwma), kinds=False),
    Policy("class EWMA, of two", plain(Pair)),
)


def with_model(predict: Predict) -> tuple[Policy, ...]:
    """Those that ask a model."""
    return (
        Policy(LEARNED, learned(predict), offered="learned"),
        Policy("learned, its word always taken", learned(predict, always=True)),
    )
