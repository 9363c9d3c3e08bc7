"""The report: every figure with its peer, its ratio and its spread."""

import json

import pytest

from tests.benchmarks import report
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.measure import Sample
from tests.benchmarks.report import Conditions
from tests.benchmarks.rows import ROWS
from tests.benchmarks.session import Outcome
from tests.benchmarks.stages import Cost
from tests.benchmarks.stats import Ratio

COST = Cost("bot_check", 0.5, 0.4, 0.6)
CONDITIONS = Conditions(
    machine={"cores": "2"},
    versions={"nginx": "1.22.1"},
    command="python -m tests.benchmarks",
    pairs=5,
    seconds=4,
    head_bytes=650,
)


@pytest.fixture
def outcome() -> Outcome:
    ours = Sample(requests=4000, seconds=2.0, bytes=1 << 22, parts={"edgeproxy": 0.4}, workers=1, memory_growth=8)
    peer = Sample(requests=2000, seconds=2.0, bytes=1 << 22, parts={"nginx": 1.0}, workers=1, memory_growth=4)
    return Outcome(ROWS[0], Ratio.of([100.0], [500.0]), (ours,), (peer,))


def test_a_row_carries_both_values_the_ratio_its_spread_and_what_was_to_be_reached(outcome):
    entry = report.entry(outcome)

    assert (
        entry
        | {
            "name": "L1 hit, 1 KiB",
            "unit": "CPU µs a request",
            "peer": "nginx proxy_cache",
            "ours": 100.0,
            "peer_value": 500.0,
            "ratio": 0.2,
            "ratio_min": 0.2,
            "ratio_max": 0.2,
            "ours_rps": 2000.0,
            "peer_rps": 1000.0,
            "ours_busy": 0.2,
            "peer_busy": 0.5,
            "must": 1.0,
            "aim": 0.8,
            "reached": "aim",
        }
        == entry
    )


def test_both_files_hold_every_row_and_the_conditions(outcome, tmp_path):
    report.write(tmp_path / "docs", [outcome, outcome], [COST], CONDITIONS)
    document = json.loads((tmp_path / "docs" / "benchmarks.json").read_text())
    page = (tmp_path / "docs" / "benchmarks.md").read_text()

    assert document["rows"] == [report.entry(outcome), report.entry(outcome), COST.entry()]
    assert document["versions"] == {"nginx": "1.22.1"}
    assert page.count("| L1 hit, 1 KiB | nginx proxy_cache |") == 2
    assert "**0.2** (0.2 to 0.2; 1)" in page
    assert "| bot_check | 0.50 (0.40 to 0.60) |" in page
    assert "| nginx | 1.22.1 |" in page
    assert "@{" not in page


def test_a_row_that_is_measured_anew_takes_the_place_of_the_earlier_one(outcome, tmp_path):
    (tmp_path / "README.md").write_text(f"{report.BEGIN}\n{report.END}\n")
    other = Outcome(ROWS[1], Ratio.of([1.0], [2.0]), outcome.ours, outcome.peer)
    report.write(tmp_path / "docs", [outcome, other], [COST], CONDITIONS)
    report.replace(
        tmp_path / "docs", [report.entry(Outcome(ROWS[0], Ratio.of([3.0], [4.0]), outcome.ours * 2, outcome.peer * 2))]
    )
    rows = json.loads((tmp_path / "docs" / "benchmarks.json").read_text())["rows"]
    page = (tmp_path / "docs" / "benchmarks.md").read_text()

    assert [row["ratio"] for row in rows] == [0.75, 0.5, COST.entry()["ratio"]]
    assert "**0.75** (0.75 to 0.75; 2)" in page
    assert "**0.2**" not in page
    assert "| bot_check |" in page
    assert "**0.75**" in (tmp_path / "README.md").read_text()


def test_a_row_that_is_new_stands_behind_the_others(outcome, tmp_path):
    report.write(tmp_path, [outcome], [COST], CONDITIONS)
    new = report.entry(outcome) | {"key": "http3-1k", "name": "HTTP/3"}
    report.replace(tmp_path, [new])

    assert json.loads((tmp_path / "benchmarks.json").read_text())["rows"] == [report.entry(outcome), new, COST.entry()]
    assert "| HTTP/3 |" in (tmp_path / "benchmarks.md").read_text()


BUDGET = {
    "key": "budget-hits",
    "name": "L1 hits: p99",
    "unit": "ms",
    "peer": "budget",
    "ours": 9.5,
    "peer_value": 50.0,
    "ratio": 0.19,
    "ratio_min": 0.1,
    "ratio_max": 0.3,
    "must": 1.0,
    "aim": 0.5,
    "reached": "aim",
    "pairs": 5,
    "detail": "p50 1.00",
}
LINE = "| L1 hits: p99 | ms | 9.5 | 50 | **0.19** (0.1 to 0.3; 5) | ≤ 1 | aim | p50 1.00 |"


def test_budgets_stand_in_both_files_in_the_place_of_earlier_ones(outcome, tmp_path):
    report.write(tmp_path, [outcome], [COST], CONDITIONS)
    report.put(tmp_path, report.BUDGETS, [BUDGET | {"key": "budget-text", "name": "text"}])
    report.put(tmp_path, report.BUDGETS, [BUDGET])
    rows = json.loads((tmp_path / "benchmarks.json").read_text())["rows"]
    page = (tmp_path / "benchmarks.md").read_text()

    assert rows == [report.entry(outcome), COST.entry(), BUDGET]
    assert page.count(LINE) == 1
    assert "| text |" not in page


def test_budgets_stay_when_the_rest_is_measured_anew(outcome, tmp_path):
    report.write(tmp_path, [outcome], [COST], CONDITIONS)
    report.put(tmp_path, report.BUDGETS, [BUDGET])
    report.replace(tmp_path, [report.entry(outcome)])
    report.write(tmp_path, [outcome], [COST], CONDITIONS)

    assert BUDGET in json.loads((tmp_path / "benchmarks.json").read_text())["rows"]
    assert (tmp_path / "benchmarks.md").read_text().count("L1 hits: p99") == 1
    assert LINE in (tmp_path / "benchmarks.md").read_text()


def test_rows_of_another_command_touch_no_budgets(outcome, tmp_path):
    report.write(tmp_path, [outcome], [COST], CONDITIONS)
    report.put(tmp_path, report.BUDGETS, [BUDGET])
    report.put(tmp_path, report.INFERENCE, [{"key": "inference-digits"}])
    rows = json.loads((tmp_path / "benchmarks.json").read_text())["rows"]

    assert rows == [report.entry(outcome), COST.entry(), BUDGET, {"key": "inference-digits"}]
    assert LINE in (tmp_path / "benchmarks.md").read_text()


def test_budgets_are_not_written_where_there_is_no_place_for_them(outcome, tmp_path):
    with pytest.raises(BenchmarkError, match="no report"):
        report.put(tmp_path, report.BUDGETS, [BUDGET])
    report.write(tmp_path, [outcome], [COST], CONDITIONS)
    before = (tmp_path / "benchmarks.json").read_text()
    (tmp_path / "benchmarks.md").write_text("another page")
    with pytest.raises(BenchmarkError, match="no place"):
        report.put(tmp_path, report.BUDGETS, [BUDGET])

    assert (tmp_path / "benchmarks.json").read_text() == before


def test_a_row_takes_no_place_where_there_is_none(outcome, tmp_path):
    with pytest.raises(BenchmarkError, match="no report"):
        report.replace(tmp_path, [report.entry(outcome)])


def test_rows_have_keys_of_their_own():
    assert len({row.key for row in ROWS}) == len(ROWS)
