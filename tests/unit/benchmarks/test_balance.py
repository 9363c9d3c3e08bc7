"""The balancers' benchmark: its worlds, its simulation, its tables and its page."""

from __future__ import annotations

import json
from pathlib import Path
from statistics import fmean

import pytest

from edgeproxy.balance.rows import NAMES
from edgeproxy.training.queueing import Run
from edgeproxy.training.world import world
from tests.benchmarks.balance import model, report
from tests.benchmarks.balance.figures import Change, Figures, Line, Table, interval, markdown
from tests.benchmarks.balance.loopback import ROUND, WARM_UP, plan, rounds_of, settings
from tests.benchmarks.balance.policies import DEFAULT, LEARNED, OFFERED, REFERENCE, WITHOUT


def test_the_default_is_better_than_what_it_was_made_to_better() -> None:
    """A short run of the benchmark itself, which has figures with confidence."""
    given = world(6, 6.0)
    means = {}
    for policy in (OFFERED[0], REFERENCE, DEFAULT):
        means[policy.offered] = fmean(taken for at, taken in Run(given, policy.make, 6).run() if at > 2)
    assert means["class_ewma"] < 0.92 * means["peak_ewma"] < 0.5 * means["round_robin"]


def test_a_table_pairs_runs() -> None:
    quick = (Figures(10, 20, 30), Figures(20, 40, 60))
    slow = (Figures(20, 25, 30), Figures(40, 50, 60))
    table = Table((Line("slow", "peak_ewma", slow), Line("quick", "", quick)), "slow")
    assert table.against("quick") == Change(-50.0, 0.0, -20.0, 0.0, 0.0, 0.0)
    assert markdown(table.rows()).splitlines()[2:] == [
        "| slow | `peak_ewma` | 30.0 | 37.5 | 45.0 | reference | reference | reference |",
        "| quick |  | 15.0 | 30.0 | 45.0 | -50.0 ± 0.0 % | -20.0 ± 0.0 % | +0.0 ± 0.0 % |",
    ]


def test_a_confidence_interval_is_students() -> None:
    # Ten values, 9 degrees of freedom: 2.262 times the standard error.
    mean, half = interval([float(value) for value in range(1, 11)])
    assert (mean, half) == (5.5, pytest.approx(2.262 * 3.02765 / 10**0.5, rel=1e-4))
    with pytest.raises(ValueError, match="two values"):
        interval([1.0])


@pytest.mark.parametrize(
    ("mean", "p99", "worth"), [(-5.0, -9.0, True), (5.0, -9.0, False), (-5.0, -1.0, False), (1.0, -9.0, True)]
)
def test_a_model_is_worth_it_only_for_certain(mean: float, p99: float, worth: bool) -> None:
    change = {"mean": mean, "mean_ci": 2.0, "p95": 0.0, "p95_ci": 1.0, "p99": p99, "p99_ci": 2.0}
    assert report.worth_it(change) is worth


def test_parts_of_the_report_are_written_one_at_a_time(tmp_path: Path) -> None:
    runs = (Figures(10, 20, 30), Figures(20, 40, 60))
    better = tuple(Figures(run.mean * 0.8, run.p95, run.p99) for run in runs)
    lines = (Line(REFERENCE.name, "peak_ewma", runs), Line(DEFAULT.name, "class_ewma", better))
    part = report.section(Table(lines, REFERENCE.name), 2)
    report.write(tmp_path, {"simulation": part, "shift": part, "model": None})
    assert "-20.0 ± 0.0 %" in (tmp_path / "balance.md").read_text()
    assert report.NOT_YET in (tmp_path / "balance.md").read_text()
    report.write(tmp_path, {"loopback": part})
    assert set(json.loads((tmp_path / "balance.json").read_text())) == {"simulation", "shift", "model", "loopback"}
    page = (tmp_path / "balance.md").read_text()
    assert "It must be 15 % below in mean: reached." in page
    assert page.count(DEFAULT.name) == 3


def test_a_round_is_the_same_for_every_policy() -> None:
    assert plan(1, 5.0) == plan(1, 5.0) != plan(2, 5.0)
    assert {target.partition("?")[0] for _, _, target in plan(1, 5.0)} == {"/page/1", "/api/cart", "/search/q"}


def test_rounds_are_told_apart_by_when_requests_were_sent() -> None:
    times = [(0.0, 9.0), (WARM_UP, 0.1), (WARM_UP + ROUND, 0.3), (WARM_UP + 0.9 * ROUND, 0.2)]
    assert [round(figures.mean) for figures in rounds_of(times, 2)] == [150, 300]


def test_what_is_taken_away_from_the_default_makes_it_another() -> None:
    given = world(5, 1.0)
    usual = Run(given, DEFAULT.make, 5).run()
    for policy in WITHOUT:
        assert Run(given, policy.make, 5, kinds=policy.kinds).run() != usual


def test_nodes_are_told_what_to_balance_by() -> None:
    pool = settings("round_robin", [81, 82])["pools"]
    assert isinstance(pool, dict)
    assert pool["site"]["balance"] == "round_robin"
    assert pool["site"]["endpoints"] == ["http://127.0.0.1:81", "http://127.0.0.1:82"]


def test_the_model_judged_is_the_one_that_ships() -> None:
    made = model.shipped()
    assert made.errors[0] < made.errors[1]
    assert made.bytes == max(model.FOLDER.glob("*/model.onnx"), key=lambda file: int(file.parent.name)).stat().st_size
    assert len(made.predict([[0.0] * len(NAMES)] * 3)) == 3


def test_a_report_of_a_model_says_what_it_is_beside_the_default() -> None:
    runs = (Figures(10, 20, 30), Figures(20, 40, 60))
    lines = (Line(REFERENCE.name, "", runs), Line(DEFAULT.name, "", runs), Line(LEARNED, "", runs))
    table = Table(lines, REFERENCE.name)
    part = report.of_model(model.shipped(), table, table)
    assert part["beside_default"]["shift"]["mean"] == 0.0
    assert part["worth_it"] is False
    assert report.WORSE in report.page({"model": part})
