"""What a run says: the table beside the peers, the cases not passed with their reasons, and what is wrong with it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from collections.abc import Set as AbstractSet
from pathlib import Path

import yaml

from tests.conformance.score import KINDS, Scored, count

HERE = Path(__file__).parent
DOCS = HERE.parents[1] / "docs"
JSON_FILE = DOCS / "conformance.json"
MARKDOWN_FILE = DOCS / "conformance.md"


EDITION = "0.4.5"


def known_reasons() -> dict[str, str]:
    """Why a case is not passed, by its id."""
    reasons: dict[str, str] = yaml.safe_load((HERE / "reasons.yaml").read_text(encoding="utf-8"))
    return reasons


def passed_before(file: Path, scored: Sequence[Scored]) -> set[str]:
    """The ids that passed when ``file`` was written; none if there is no such file."""
    if not file.is_file():
        return set()
    missed = {case["id"] for case in json.loads(file.read_text(encoding="utf-8"))["cases"]}
    return {each.case.id for each in scored} - missed


def faults(scored: Sequence[Scored], reasons: Mapping[str, str], before: AbstractSet[str]) -> list[str]:
    """What must not be: a case that passed ``before`` and does not now, one without a reason, a reason without one."""
    missed = {each.case.id: each for each in scored if each.outcome != "passed"}
    found = [f"{name} passed before: {missed[name].message or missed[name].outcome}" for name in before & missed.keys()]
    found += [
        f"{name} has no reason: {each.message or each.outcome}" for name, each in missed.items() if name not in reasons
    ]
    found += [f"{name} has a reason in reasons.yaml, and passed" for name in reasons if name not in missed]
    return sorted(found)


def differences(scored: Sequence[Scored], file: Path) -> list[str]:
    """The cases whose outcome is another than ``file`` tells."""
    told = {case["id"]: case["outcome"] for case in json.loads(file.read_text(encoding="utf-8"))["cases"]}
    found = [(each.case.id, each.outcome, told.get(each.case.id, "passed"), each.message) for each in scored]
    return [f"{name}: {now}, not {before}: {message}" for name, now, before, message in found if now != before]


def as_json(scored: Sequence[Scored], reasons: Mapping[str, str]) -> str:
    """Counts by kind, then the cases not passed."""
    cases = [
        {"id": each.case.id, "kind": each.case.kind, "outcome": each.outcome, "reason": reasons[each.case.id]}
        for each in _missed(scored)
    ]
    return json.dumps({**count(scored), "cases": cases}, indent=2, ensure_ascii=False) + "\n"


def table(scored: Sequence[Scored], edition: str = EDITION) -> str:
    """The peers' results and ours, as a Markdown table."""
    totals = count(scored)
    ours = [f"**{totals[kind]['passed']} of {sum(totals[kind].values())}**" for kind in ("required", "optimal")]
    peers = yaml.safe_load((HERE / "peers.yaml").read_text(encoding="utf-8"))
    rows = [
        ("cache", "edition", "required", "optimal"),
        ("---", "---", "---:", "---:"),
        ("**edgeproxy**", edition, *ours),
        *((peer["name"], "newest", f"{peer['required']} of 160", f"{peer['optimal']} of 105") for peer in peers),
    ]
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def as_markdown(scored: Sequence[Scored], reasons: Mapping[str, str]) -> str:
    text = (HERE / "page.md").read_text(encoding="utf-8")
    totals = count(scored)
    counts = "\n".join(
        f"| {kind} | {totals[kind]['passed']} | {totals[kind]['failed']} | {totals[kind]['unmet']} |" for kind in KINDS
    )
    return (
        text.replace("{table}", table(scored)).replace("{counts}", counts).replace("{cases}", _cases(scored, reasons))
    )


def write(scored: Sequence[Scored], reasons: Mapping[str, str]) -> None:
    JSON_FILE.write_text(as_json(scored, reasons), encoding="utf-8")
    MARKDOWN_FILE.write_text(as_markdown(scored, reasons), encoding="utf-8")


def _cases(scored: Sequence[Scored], reasons: Mapping[str, str]) -> str:
    """One table a kind; cases with one reason share a row."""
    parts = []
    for kind in KINDS:
        by_reason: dict[str, list[str]] = {}
        for each in _missed(scored):
            if each.case.kind == kind:
                mark = "" if each.outcome == "failed" else f" ({each.outcome})"
                by_reason.setdefault(reasons[each.case.id], []).append(f"`{each.case.id}`{mark}")
        if by_reason:
            rows = "\n".join(f"| {'<br>'.join(names)} | {reason} |" for reason, names in by_reason.items())
            parts.append(f"### {kind.capitalize()}\n\n| case | why |\n|---|---|\n{rows}")
    return "\n\n".join(parts)


def _missed(scored: Sequence[Scored]) -> list[Scored]:
    return sorted((each for each in scored if each.outcome != "passed"), key=lambda each: KINDS.index(each.case.kind))
