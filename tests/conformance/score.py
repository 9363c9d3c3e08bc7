"""How the suite's results count: as its own page does, a pass only where the cases it depends on passed too."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, Literal, NamedTuple, Self

Outcome = Literal["passed", "failed", "unmet"]
Result = Literal[True] | list[str]
"""True, or the kind of the failure and its message, as the suite tells it."""

KINDS = ("required", "optimal", "check")


class Case(NamedTuple):
    """One case of the suite; ``needs`` are the ids of those it depends on."""

    id: str
    name: str
    kind: str
    needs: tuple[str, ...]

    @classmethod
    def read(cls, told: Mapping[str, Any]) -> Self:
        return cls(told["id"], told["name"], told["kind"], tuple(told["needs"]))


class Scored(NamedTuple):
    """A case and what became of it; ``message`` is the suite's, "" if it passed."""

    case: Case
    outcome: Outcome
    message: str


def score(cases: Iterable[Case], results: Mapping[str, Result]) -> list[Scored]:
    """Every case with its outcome, in the suite's order. A case without a result failed."""
    known = {case.id: case for case in cases}
    outcomes: dict[str, Outcome] = {}

    def outcome(name: str) -> Outcome:
        if name not in outcomes:
            met = all(need in known and outcome(need) == "passed" for need in known[name].needs)
            outcomes[name] = "unmet" if not met else "passed" if results.get(name) is True else "failed"
        return outcomes[name]

    return [Scored(case, outcome(case.id), _message(results.get(case.id))) for case in known.values()]


def count(scored: Iterable[Scored]) -> dict[str, dict[Outcome, int]]:
    """Outcomes by kind."""
    totals: dict[str, dict[Outcome, int]] = {kind: {"passed": 0, "failed": 0, "unmet": 0} for kind in KINDS}
    for each in scored:
        totals[each.case.kind][each.outcome] += 1
    return totals


def _message(result: Result | None) -> str:
    if result is True:
        return ""
    return "no result" if result is None else ": ".join(result)
