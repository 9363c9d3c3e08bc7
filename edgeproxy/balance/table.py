"""Balancers by name, but for the one that asks a model: whoever has a model makes it (see learned)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from edgeproxy.balance.class_ewma import ClassEwma
from edgeproxy.balance.hashing import Hashing
from edgeproxy.balance.least_request import LeastRequest
from edgeproxy.balance.member import Balancer, M
from edgeproxy.balance.peak_ewma import PeakEwma
from edgeproxy.balance.round_robin import RoundRobin

Method = Literal["class_ewma", "hash", "least_request", "peak_ewma", "round_robin"]

LOAD: Final = 1.25


def balancer(method: Method, members: Sequence[M], load: float = LOAD) -> Balancer[M]:
    """``members`` must not be empty. ``load``: by ``hash``, how many times its part of what all have in hand one may
    have."""
    match method:
        case "round_robin":
            return RoundRobin(members)
        case "least_request":
            return LeastRequest(members)
        case "peak_ewma":
            return PeakEwma(members)
        case "class_ewma":
            return ClassEwma(members)
        case "hash":
            return Hashing(members, load, ClassEwma(members))
