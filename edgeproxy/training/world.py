"""What is simulated: endpoints that differ, work that differs, nodes that each see only their own requests.

Times are seconds. Everything random is drawn from seeds: two policies that run in the same world get the same requests
at the same times, with the same work, and the same slow moments.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass
from typing import Final

WORKERS: Final = 4  # of an endpoint: so many requests at a time
SPEEDS: Final = (1.0, 1.0, 1.0, 1.0, 0.7, 0.7, 0.7, 0.45, 0.45, 0.45)
NODES: Final = 4
CLASSES: Final = (0.003, 0.012, 0.060)  # median work at speed 1
SHARES: Final = (0.6, 0.3, 0.1)  # of the requests
SIGMA: Final = 0.5  # of the logarithm of the work
RTT: Final = (0.001, 0.020)
ANTAGONIST: Final = 2.5  # how much slower an endpoint is while a neighbour takes its processor
QUIET: Final = 8.0  # mean seconds between such times
LOUD: Final = 2.0  # mean seconds they last
UTILISATION: Final = 0.65
SHIFTED: Final = 2.0  # how much more work requests of the middle class are after a shift
TARGETS: Final = ((b"/page/1",), (b"/api/cart", b"/api/item/7"), (b"/search/q?x=1",))


@dataclass(frozen=True)
class Arrival:
    """One request: when, at which node, what it asks for, and its work at speed 1."""

    at: float
    node: int
    target: bytes
    work: float


@dataclass(frozen=True)
class World:
    """One seed's endpoints and requests. ``slow``: by endpoint, the moments its speed changes, alternately to slow and
    back."""

    rtt: tuple[float, ...]
    slow: tuple[tuple[float, ...], ...]
    arrivals: tuple[Arrival, ...]


def world(seed: int, seconds: float, *, shift_at: float = math.inf) -> World:
    """``shift_at``: from then on the requests of the middle class are twice the work."""
    draw = random.Random(seed)
    rtt = tuple(draw.uniform(*RTT) for _ in SPEEDS)
    slow = tuple(slow_moments(draw, seconds) for _ in SPEEDS)
    return World(rtt, slow, tuple(_arrivals(draw, seconds, shift_at)))


def rate() -> float:
    """Requests a second that keep the workers busy for ``UTILISATION`` of the time."""
    return UTILISATION * WORKERS * sum(SPEEDS) * slowness() / work_on_average()


def work_on_average() -> float:
    """Seconds a request takes at speed 1."""
    medians = sum(share * median for share, median in zip(SHARES, CLASSES, strict=True))
    return medians * math.exp(SIGMA * SIGMA / 2)


def slowness() -> float:
    """What is left of the endpoints' speed by their slow moments."""
    return (QUIET + LOUD / ANTAGONIST) / (QUIET + LOUD)


def slow_moments(draw: random.Random, seconds: float) -> tuple[float, ...]:
    """When one endpoint's speed changes, alternately to slow and back."""
    changes: list[float] = []
    at = draw.expovariate(1 / QUIET)
    while at < seconds:
        changes.append(at)
        at += draw.expovariate(1 / (QUIET if len(changes) % 2 == 0 else LOUD))
    return tuple(changes)


def _arrivals(draw: random.Random, seconds: float, shift_at: float) -> list[Arrival]:
    arrivals = []
    per_second = rate()
    at = draw.expovariate(per_second)
    while at < seconds:
        kind = draw.choices(range(len(CLASSES)), SHARES)[0]
        work = CLASSES[kind] * draw.lognormvariate(0.0, SIGMA)
        if at >= shift_at and kind == 1:
            work *= SHIFTED
        arrivals.append(Arrival(at, draw.randrange(NODES), draw.choice(TARGETS[kind]), work))
        at += draw.expovariate(per_second)
    return arrivals
