"""What a played attack showed, for people and for machines."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from edgeproxy.simulate.good import Felt


@dataclass(frozen=True)
class Felts:
    """What good clients felt in one phase; times in seconds."""

    requests: int
    answered: float
    """The share of their requests that was answered with 2xx or 304."""
    p50: float
    p99: float

    @classmethod
    def of(cls, felt: Sequence[Felt]) -> Felts:
        taken = sorted(one.taken for one in felt if one.answered)
        share = len(taken) / len(felt) if felt else 1.0
        return cls(len(felt), share, percentile(taken, 0.5), percentile(taken, 0.99))

    def __str__(self) -> str:
        times = f"p50 {self.p50 * 1000:.1f} ms, p99 {self.p99 * 1000:.1f} ms"
        return f"{self.requests} requests, {self.answered:.2%} answered, {times}"


def percentile(ordered: Sequence[float], share: float) -> float:
    """Of ascending values, the one that this share of them does not exceed; 0.0 of none."""
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))] if ordered else 0.0


@dataclass(frozen=True)
class Report:
    """``statuses`` of the attack's requests, 0 for no answer; ``refused`` are connections closed at once; ``held`` the
    seconds that slow connections stayed open. ``recognised`` and ``over`` are seconds after the attack's beginning and
    end, None if the node did not say so in time, or has no flood stage (``watched`` False)."""

    sent: int
    statuses: Mapping[int, int]
    refused: int
    quiet: Felts
    attack: Felts
    after: Felts
    watched: bool
    recognised: float | None
    over: float | None
    highest: int = 0
    held: Sequence[float] = field(default_factory=tuple)

    @property
    def through(self) -> int:
        """Requests of the attack that were answered with what they asked for."""
        return sum(count for status, count in self.statuses.items() if 200 <= status < 400)

    def to_json(self) -> dict[str, Any]:
        """For machines: the attack, what good clients felt by phase, what the node said; times in seconds."""
        return {
            "attack": {
                "sent": self.sent,
                "through": self.through,
                "statuses": {str(status): count for status, count in sorted(self.statuses.items())},
                "connections_refused": self.refused,
                "held_median_s": round(median(self.held), 3) if self.held else None,
            },
            "good": {name: vars(getattr(self, name)) for name in ("quiet", "attack", "after")},
            "flood": {
                "watched": self.watched,
                "highest": self.highest,
                "recognised_s": _rounded(self.recognised),
                "over_s": _rounded(self.over),
            },
        }

    def __str__(self) -> str:
        refused = Counter({status: count for status, count in self.statuses.items() if not 200 <= status < 400})
        told = ", ".join(f"{count} x {status or 'no answer'}" for status, count in sorted(refused.items())) or "none"
        lines = [
            f"attack      {self.sent} sent, {self.through} let through, refused: {told}",
            f"            {self.refused} connections not taken",
            f"good before {self.quiet}",
            f"     during {self.attack}",
            f"     after  {self.after}",
        ]
        if self.held:
            lines.insert(2, f"            held for {median(self.held):.1f} s (median), {max(self.held):.1f} s at most")
        if not self.watched:
            lines.append("flood       the node has no flood stage, or no admin listener to ask")
        else:
            state = ("normal", "elevated", "attack")[self.highest]
            recognised = "not recognised" if self.recognised is None else f"recognised after {self.recognised:.1f} s"
            over = "not over when the time was up" if self.over is None else f"over {self.over:.1f} s after its end"
            lines.append(f"flood       {recognised} ({state}), {over}")
        return "\n".join(lines)


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 3)
