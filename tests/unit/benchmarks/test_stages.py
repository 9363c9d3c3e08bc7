from __future__ import annotations

import pytest

from tests.benchmarks.stages import BUDGET, TOGETHER, costs, table

MEASURED = {"a": [1.0, 3.0, 2.0], "cache": [9.0, 9.0, 9.0], "b": [0.5, 0.5, 1.5]}


def test_stages_are_added_up_repeat_by_repeat_without_the_look_up() -> None:
    a, b, together = costs(MEASURED)
    assert (a.name, a.median, a.low, a.high) == ("a", 2.0, 1.0, 3.0)
    assert (b.name, b.median) == ("b", 0.5)
    assert (together.name, together.median, together.low, together.high) == (TOGETHER, 3.5, 1.5, 3.5)


def test_a_row_is_a_share_of_what_all_may_cost() -> None:
    entry = costs(MEASURED)[-1].entry()
    assert entry["ratio"] == pytest.approx(3.5 / BUDGET)
    assert {"name", "unit", "ours", "peer", "peer_value", "ratio", "ratio_min", "ratio_max"} == entry.keys()


def test_the_table_has_a_line_for_each() -> None:
    assert table(costs(MEASURED)).splitlines()[2:] == [
        "| a | 2.00 (1.00 to 3.00) |",
        "| b | 0.50 (0.50 to 1.50) |",
        "| **all of them**, must 5.0 or less | 3.50 (1.50 to 3.50) |",
    ]
