"""From the times of many runs to a table: mean, p95 and p99, and differences that are paired by run."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import fmean, stdev
from typing import Any

from tests.benchmarks.stats import quantile

# Two-sided 95 % of Student's t by degrees of freedom, from 1 on.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131)
_NORMAL = 1.960
_NAMES = ("mean", "p95", "p99")


@dataclass(frozen=True)
class Figures:
    """Of one run, in milliseconds."""

    mean: float
    p95: float
    p99: float

    @classmethod
    def of(cls, seconds: Sequence[float]) -> Figures:
        """Raises ValueError for no times."""
        return cls(1000 * fmean(seconds), 1000 * quantile(seconds, 0.95), 1000 * quantile(seconds, 0.99))


@dataclass(frozen=True)
class Change:
    """Relative to another policy in the same runs, in percent, with half the width of its 95 % confidence interval."""

    mean: float
    mean_ci: float
    p95: float
    p95_ci: float
    p99: float
    p99_ci: float

    @classmethod
    def of(cls, runs: Sequence[Figures], others: Sequence[Figures]) -> Change:
        """The i-th of both had the same requests. Raises ValueError for unequal counts, or fewer than two."""
        found: dict[str, float] = {}
        for name in _NAMES:
            pairs = zip(runs, others, strict=True)
            change, ci = interval([100 * (getattr(a, name) / getattr(b, name) - 1) for a, b in pairs])
            found |= {name: round(change, 2), f"{name}_ci": round(ci, 2)}
        return cls(**found)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """The mean, and half the width of its 95 % confidence interval. Raises ValueError for fewer than two."""
    if len(values) < 2:
        raise ValueError("a spread needs two values or more")
    t = _T[len(values) - 2] if len(values) - 2 < len(_T) else _NORMAL
    return fmean(values), t * stdev(values) / math.sqrt(len(values))


@dataclass(frozen=True)
class Line:
    """One policy in one table."""

    name: str
    offered: str
    runs: tuple[Figures, ...]

    @property
    def overall(self) -> Figures:
        """The mean of the runs."""
        return Figures(*(round(fmean(getattr(run, name) for run in self.runs), 2) for name in _NAMES))


@dataclass(frozen=True)
class Table:
    """Policies in the same runs; ``reference`` is the name of the one that the others are compared with."""

    lines: tuple[Line, ...]
    reference: str

    def against(self, name: str, other: str = "") -> Change:
        """The change of a policy against another, the reference by default. Raises KeyError for names it has not."""
        runs = {line.name: line.runs for line in self.lines}
        return Change.of(runs[name], runs[other or self.reference])

    def rows(self) -> list[dict[str, Any]]:
        """As they stand in the JSON file; the reference's ``change`` is None."""
        return [
            {
                "policy": line.name,
                "balance": line.offered or None,
                **asdict(line.overall),
                "change": None if line.name == self.reference else asdict(self.against(line.name)),
            }
            for line in self.lines
        ]


def markdown(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows of a table, in the order they were given."""
    lines = ["| policy | `balance` | mean ms | p95 ms | p99 ms | mean | p95 | p99 |", "|" + "---|" * 8]
    for row in rows:
        offered = f"`{row['balance']}`" if row["balance"] else ""
        own = " | ".join(f"{row[name]:.1f}" for name in _NAMES)
        lines.append(f"| {row['policy']} | {offered} | {own} | {changes(row['change'])} |")
    return "\n".join(lines)


def changes(change: Mapping[str, float] | None) -> str:
    """Three cells."""
    return " | ".join("reference" if change is None else told(change, name) for name in _NAMES)


def told(change: Mapping[str, float], name: str) -> str:
    """``-23.4 ± 1.8 %``."""
    return f"{change[name]:+.1f} ± {change[f'{name}_ci']:.1f} %"
