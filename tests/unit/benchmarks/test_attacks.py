"""What attacks cost, as a table, and what of it is too much."""

from __future__ import annotations

from tests.benchmarks.attacks.measure import Cost
from tests.benchmarks.attacks.report import page, table
from tests.benchmarks.attacks.stand import Attack, Played
from tests.benchmarks.stats import Ratio

PINGS = Attack("PING", "frame", lambda _: Played(101, ended=True), "hit", most=0.5)


def cost(*each: float, ended: bool = True, attack: Attack = PINGS) -> Cost:
    return Cost("HTTP/2", attack, Ratio.of(each, [1.0] * len(each)), 1234.4, 101, ended)


def test_a_row_says_what_a_piece_and_what_a_connection_costs() -> None:
    row = "| PING | frame | 101 | yes | 0.20 (min 0.10, max 0.60) of a hit | 0.5 | 1,234 hits |"
    head, line, *rows = table([cost(0.1, 0.2, 0.6)]).splitlines()
    assert rows == [row]
    assert head.count("|") == line.count("|") == row.count("|")
    assert f"## HTTP/2\n\n{table([cost(0.1)])}" in page({"HTTP/2": [cost(0.1)]})


def test_too_much_is_what_no_turn_kept_below_the_bound() -> None:
    assert cost(0.4, 0.9).excess == ""
    assert cost(0.6, 0.9).excess == "PING: costs 0.60 of a hit"


def test_a_connection_that_had_to_end_and_went_on_is_too_much() -> None:
    assert cost(0.1, ended=False).excess == "PING: goes on"
    assert cost(0.1, ended=False, attack=PINGS._replace(ends=False)).excess == ""
