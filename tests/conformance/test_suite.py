"""The suite, run: as good as docs/conformance.json says, and nothing missed without a reason."""

from __future__ import annotations

import pytest

from tests.conformance import report
from tests.conformance.bridge import Front
from tests.conformance.score import Scored
from tests.conformance.suite import install, run


@pytest.fixture(scope="module")
def scored() -> list[Scored]:
    """Once more where something failed: the suite counts in seconds, and the machine may have stood still for one."""
    install()
    first = run()
    return run() if faults(first) else first


def faults(scored: list[Scored]) -> list[str]:
    return report.faults(scored, report.known_reasons(), report.passed_before(report.JSON_FILE, scored))


def test_nothing_passes_less_than_before_and_nothing_is_missed_without_a_reason(scored: list[Scored]) -> None:
    assert faults(scored) == []


def test_the_pages_tell_of_this_run(scored: list[Scored]) -> None:
    reasons = report.known_reasons()
    assert report.JSON_FILE.read_text(encoding="utf-8") == report.as_json(scored, reasons), "make conformance"
    assert report.MARKDOWN_FILE.read_text(encoding="utf-8") == report.as_markdown(scored, reasons), "make conformance"


@pytest.mark.slow
@pytest.mark.parametrize("front", ["h2", "h3"])
def test_over_other_protocols_every_case_goes_the_same_way(front: Front) -> None:
    install()
    assert report.differences(run(front=front), report.JSON_FILE) == []
