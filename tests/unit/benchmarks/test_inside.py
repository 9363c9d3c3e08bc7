"""What the proxy's metrics say of its models."""

from math import inf

import pytest

from edgeproxy.inference.runs import SECONDS
from edgeproxy.observe.metrics import Metrics, render
from tests.benchmarks.inference import inside
from tests.benchmarks.inference.budgets import ASKED, SCORE_BUDGET
from tests.benchmarks.inference.inside import Inside, Times

RUN = "image-classifier", "run"


def counted(*runs: tuple[str, float]) -> Inside:
    """As a proxy would say it that has run image-classifier so often: version, seconds."""
    metrics = Metrics()
    seconds = metrics.histogram("edgeproxy_inference_seconds", "Seconds.", ("model", "version", "part"), SECONDS)
    answered = metrics.counter("edgeproxy_inference_total", "By whom.", ("model", "version", "by"))
    for version, run in runs:
        seconds.observe(run, "image-classifier", version, "run")
        answered.inc("image-classifier", version, "edge")
    return inside.read(render(metrics.dump()).decode())


def test_runs_of_all_versions_of_a_model_are_counted_together():
    said = counted(("1", 0.02), ("2", 0.04))

    assert said.times[RUN].count == 2
    assert said.times[RUN].mean == pytest.approx(0.03)
    assert said.answered == {("image-classifier", "edge"): 2}


def test_what_was_there_before_is_taken_off():
    more = counted(("1", 0.02), ("1", 0.2)) - counted(("1", 0.02))

    assert (more.times[RUN].count, more.times[RUN].sum) == (1, pytest.approx(0.2))
    assert more.times[RUN].within(0.1) == 0
    assert more.answered == {("image-classifier", "edge"): 1}


def test_a_model_that_nobody_had_asked_before_has_all_its_runs():
    assert (counted(("1", 0.02)) - Inside({}, {})).times[RUN].count == 1


@pytest.mark.parametrize("budget", [*(each.budget for each in ASKED), SCORE_BUDGET / 1e6])
def test_a_budget_is_a_bound_of_the_metric_so_that_the_share_within_it_is_exact(budget):
    assert budget in SECONDS


@pytest.mark.parametrize(("q", "seconds"), [(0.25, 0.5), (0.5, 1.0), (0.75, 1.5), (1.0, 2.0)])
def test_a_quantile_lies_between_two_bounds_as_if_all_were_spread_evenly(q, seconds):
    assert Times({1.0: 2, 2.0: 4, inf: 4}).quantile(q) == pytest.approx(seconds)


def test_a_quantile_beyond_the_last_bound_is_not_made_up():
    assert Times({1.0: 1, inf: 2}).quantile(0.9) == inf


def test_nothing_at_all_has_figures_too():
    assert (Times().quantile(0.99), Times().mean, Times().count) == (0.0, 0.0, 0)


def test_histograms_add_up():
    both = Times({1.0: 1, inf: 2}, 3.0) + Times({1.0: 4, inf: 4}, 2.0)

    assert (both.counts, both.sum) == ({1.0: 5, inf: 6}, 5.0)
