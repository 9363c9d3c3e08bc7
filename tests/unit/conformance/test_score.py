"""How the suite's results count."""

from __future__ import annotations

import pytest

from tests.conformance.score import Case, Outcome, Result, count, score

CASES = [
    Case("base", "", "required", ()),
    Case("next", "", "optimal", ("base",)),
    Case("last", "", "check", ("next",)),
]


@pytest.mark.parametrize(
    ("results", "outcomes"),
    [
        ({"base": True, "next": True, "last": True}, ["passed", "passed", "passed"]),
        ({"base": True, "next": ["Assertion", "no"], "last": True}, ["passed", "failed", "unmet"]),
        ({"base": ["Setup", "no"], "next": True, "last": True}, ["failed", "unmet", "unmet"]),
        ({"base": True, "last": True}, ["passed", "failed", "unmet"]),
    ],
)
def test_a_pass_counts_only_behind_what_it_depends_on(results: dict[str, Result], outcomes: list[Outcome]) -> None:
    assert [each.outcome for each in score(CASES, results)] == outcomes


def test_a_case_that_needs_one_that_is_not_there_is_unmet() -> None:
    assert [each.outcome for each in score([Case("a", "", "check", ("gone",))], {"a": True})] == ["unmet"]


def test_outcomes_are_counted_by_kind() -> None:
    results: dict[str, Result] = {"base": True, "next": ["Assertion", "Response 2 comes from cache"]}
    scored = score(CASES, results)
    assert count(scored) == {
        "required": {"passed": 1, "failed": 0, "unmet": 0},
        "optimal": {"passed": 0, "failed": 1, "unmet": 0},
        "check": {"passed": 0, "failed": 0, "unmet": 1},
    }
    assert [each.message for each in scored] == ["", "Assertion: Response 2 comes from cache", "no result"]
