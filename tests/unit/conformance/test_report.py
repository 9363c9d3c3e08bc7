"""What a run says, and when it is not good enough."""

from __future__ import annotations

import json
from pathlib import Path

from tests.conformance import report
from tests.conformance.score import Case, Scored

SCORED = [
    Scored(Case("a", "", "required", ()), "passed", ""),
    Scored(Case("b", "", "check", ()), "failed", "Assertion: no"),
    Scored(Case("c", "", "required", ("x",)), "unmet", ""),
]
REASONS = {"b": "It need not.", "c": "RFC 9111 §4."}


def test_a_run_as_explained_as_before_has_no_fault() -> None:
    assert report.faults(SCORED, REASONS, {"a"}) == []


def test_what_passed_before_must_pass() -> None:
    assert report.faults(SCORED, REASONS, {"a", "b"}) == ["b passed before: Assertion: no"]
    assert report.faults(SCORED, REASONS, {"c"}) == ["c passed before: unmet"]


def test_what_is_missed_has_a_reason_and_what_has_one_is_missed() -> None:
    assert report.faults(SCORED, {"b": "", "a": ""}, set()) == [
        "a has a reason in reasons.yaml, and passed",
        "c has no reason: unmet",
    ]


def test_the_machine_readable_form_has_counts_and_named_cases(tmp_path: Path) -> None:
    file = tmp_path / "conformance.json"
    assert report.passed_before(file, SCORED) == set()
    file.write_text(report.as_json(SCORED, REASONS))
    assert json.loads(file.read_text()) == {
        "required": {"passed": 1, "failed": 0, "unmet": 1},
        "optimal": {"passed": 0, "failed": 0, "unmet": 0},
        "check": {"passed": 0, "failed": 1, "unmet": 0},
        "cases": [
            {"id": "c", "kind": "required", "outcome": "unmet", "reason": "RFC 9111 §4."},
            {"id": "b", "kind": "check", "outcome": "failed", "reason": "It need not."},
        ],
    }
    assert report.passed_before(file, SCORED) == {"a"}


def test_the_page_has_our_counts_the_peers_and_every_reason() -> None:
    page = report.as_markdown(SCORED, REASONS)
    assert "| **edgeproxy** | 0.4.5 | **1 of 2** | **0 of 0** |" in page
    assert "| Varnish 7.1 | newest | 119 of 160 | 45 of 105 |" in page
    assert "| `c` (unmet) | RFC 9111 §4. |" in page
    assert "| `b` | It need not. |" in page
    assert "{" not in page


def test_a_run_over_another_protocol_is_compared_case_by_case(tmp_path: Path) -> None:
    file = tmp_path / "conformance.json"
    file.write_text(report.as_json(SCORED, REASONS))
    assert report.differences(SCORED, file) == []
    other = [Scored(SCORED[0].case, "failed", "Assertion: no"), Scored(SCORED[1].case, "passed", ""), SCORED[2]]
    assert report.differences(other, file) == ["a: failed, not passed: Assertion: no", "b: passed, not failed: "]
