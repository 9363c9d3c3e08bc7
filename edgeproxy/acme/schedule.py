"""When a certificate is to be renewed, when to try again, and how many orders there may be. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence

from edgeproxy.config.units import RateValue

# Seconds to wait after one failure in a row, two, three. Let's Encrypt takes 5 failed validations of a name in an hour;
# an authority that is away has nothing against being asked.
NAME_STEPS = (60.0, 120.0, 3_600.0, 7_200.0, 14_400.0, 28_800.0, 57_600.0, 86_400.0)
AUTHORITY_STEPS = (60.0, 120.0, 240.0, 480.0, 960.0, 1_800.0, 3_600.0)
ASK_LEAST, ASK_MOST = 3_600.0, 86_400.0  # seconds between questions for a renewal window (RFC 9773 §4.3.2)


def due(name: str, begins: float, ends: float, before: float, spread: float) -> float:
    """When a certificate that is valid from ``begins`` to ``ends`` is to be renewed: ``before``, the last part of its
    lifetime, begins, or earlier by a part of ``spread`` that is always the same for this name. Shares of the
    lifetime."""
    return ends - (ends - begins) * (before + spread * share(name))


def share(name: str) -> float:
    """A number of [0, 1) that is the name's own on every node."""
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:6]) / (1 << 48)


def within(name: str, start: float, end: float) -> float:
    """The name's own moment of a window that the authority suggests (RFC 9773 §4.2)."""
    return start + max(0.0, end - start) * share(name)


def retry(now: float, steps: Sequence[float], failures: int, wanted: float, chance: float) -> float:
    """When to try again after so many failures in a row (1 or more): half a step to a whole one, as ``chance`` of
    [0, 1) wants it, and no earlier than the authority ``wanted`` to be left alone for (seconds)."""
    step = steps[min(failures, len(steps)) - 1]
    return now + max(wanted, step * (0.5 + 0.5 * chance))


def ask_again(now: float, wanted: float) -> float:
    """When the authority may be asked again for the window, which ``wanted`` so many seconds between."""
    return now + min(ASK_MOST, max(ASK_LEAST, wanted))


def room(times: Iterable[float], rate: RateValue, now: float) -> tuple[int, float]:
    """How many more orders the rate allows beside those at ``times``, and when it allows the next one. Another node's
    clock may be ahead; one that is so by the whole period blocks nothing."""
    recent = sorted(min(at, now) for at in times if abs(now - at) < rate.period)
    most = max(1, int(rate.count))
    left = most - len(recent)
    return max(0, left), now if left > 0 else recent[len(recent) - most] + rate.period
