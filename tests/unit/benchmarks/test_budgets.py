"""Rows that are held against budgets, from what was counted."""

import math

import pytest

from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.inference.budgets import ASKED, Round, paragraphs, rows
from tests.benchmarks.inference.inside import Inside, Times

RUNS = Times({1e-5: 0, 2e-5: 50, 3e-5: 90, 0.01: 90, 0.03: 100, 0.05: 100, 0.1: 100, math.inf: 100}, 1.2)


def round_(**latencies: list[float]) -> Round:
    times = {(model, "run"): RUNS for model in ("image-classifier", "object-detector", "language-id", "bot-score")}
    times["image-classifier", "line"] = RUNS
    usual = {name: [0.01] * 100 for name in ("hits", "image", "detector", "text")}
    return Round(Inside(times, {}), usual | latencies, 0.0)


def by_key(*rounds: Round) -> dict[object, dict[str, object]]:
    made = rows([20.0, 24.0, 22.0], 4_000.0, rounds)
    return {row["key"]: row for row in made}


def test_there_is_a_row_for_each_budget_and_each_has_the_fields_of_the_others():
    made = by_key(round_())

    assert list(made) == ["budget-image", "budget-detector", "budget-text", "budget-bot-score", "budget-hits"]
    wanted = {"name", "unit", "ours", "peer", "peer_value", "ratio", "ratio_min", "ratio_max", "must", "aim", "reached"}
    assert all(wanted <= row.keys() and row["peer"] == "budget" for row in made.values())


def test_the_score_costs_the_median_of_its_pairs():
    row = by_key(round_())["budget-bot-score"]

    assert (row["ours"], row["peer_value"], row["unit"]) == (22.0, 30.0, "CPU µs a hit")
    assert (row["ratio"], row["ratio_min"], row["ratio_max"]) == (0.733, 0.667, 0.8)
    assert "100 runs" in str(row["detail"])


def test_hits_are_those_of_all_rounds_together_and_the_ratio_tells_the_best_and_the_worst_round():
    made = by_key(round_(hits=[0.001] * 99 + [0.1]), round_(hits=[0.001] * 98 + [0.02] * 2))
    row = made["budget-hits"]

    assert (row["ours"], row["peer_value"]) == (20.0, 50.0)
    assert (row["ratio"], row["ratio_min"], row["ratio_max"], row["reached"]) == (0.4, 0.02, 0.4, "aim")
    assert row["detail"] == "p50 1.00, p95 1.00, p99.9 100.00, 0 of 200 unanswered"


def test_runs_are_told_as_the_proxy_counts_them_with_whole_answers_beside_them():
    row = by_key(round_(), round_(image=[0.06] * 100))["budget-image"]

    assert (row["ours"], row["ratio"], row["pairs"]) == (28.0, 0.56, 2)
    assert row["detail"] == (
        "p50 0.02, 100.0% of 200 within; in line before it p99 28.00; "
        "whole answers p50 10.00, p99 60.00, 0 of 200 unanswered"
    )


def test_what_runs_at_once_has_waited_in_no_line():
    assert "in line" not in str(by_key(round_())["budget-text"]["detail"])


def test_a_budget_that_is_missed_is_said_to_be():
    row = by_key(round_(hits=[0.06] * 100))["budget-hits"]

    assert (row["ratio"], row["reached"]) == (1.2, "no")


def test_one_answer_in_a_hundred_may_be_missing_and_is_counted():
    assert "1 of 100 unanswered" in str(by_key(round_(text=[0.01] * 99 + [math.inf]))["budget-text"]["detail"])


def test_more_that_are_missing_make_no_figure():
    with pytest.raises(BenchmarkError, match="text: 4 of 200 unanswered"):
        by_key(round_(), round_(text=[0.01] * 96 + [math.inf] * 4))


def test_texts_are_the_paragraphs_of_a_document():
    wanted = "Words " * 40
    text = f"# A title\n\n{wanted}\n\nshort\n\n| a | table {'x' * 300} |\n\n{'long ' * 300}\n\n{wanted}"

    assert paragraphs(text) == [wanted.strip()] * 2


def test_budgets_are_those_of_the_models_outlines():
    assert {each.key: each.budget for each in ASKED} == {"image": 0.05, "detector": 0.1, "text": 0.03}
