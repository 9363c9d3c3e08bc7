"""What a model is told of a member that may take a request: the same numbers in service and in training."""

from __future__ import annotations

from math import log
from typing import Final

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.member import Member

NAMES: Final = (
    *("log of the expected time of this kind", "log of the pool's usual time of it", "ratio to the pool, all kinds"),
    *("log of the peak", "log of the latest time", "seconds since the last answer of this kind, up to 60"),
    *("in hand", "in hand, a member of the pool on average", "error share", "kind", "weight", "share"),
)
LEAST: Final = 1e-6  # seconds


def row(member: Member, ask: Ask, in_hand: float) -> list[float]:
    """By NAMES. ``in_hand``: what the members of the pool have in hand on average. Times are seconds, logs natural."""
    pace, kind, now = member.pace, ask.kind, ask.now
    return [
        log(max(pace.expected(kind, now), LEAST)),
        log(max(pace.usual.times[kind], LEAST)),
        pace.ratio,
        log(max(pace.peak(now), LEAST)),
        log(max(pace.latest, LEAST)),
        min(pace.age(kind, now), 60.0),
        float(member.in_flight),
        in_hand,
        pace.errors(now),
        float(kind),
        float(member.weight),
        member.share,
    ]
