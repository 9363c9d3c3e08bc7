"""What a played attack showed."""

from __future__ import annotations

import json

from edgeproxy.simulate.good import Felt
from edgeproxy.simulate.report import Felts, Report, percentile

QUIET = Felts.of([Felt(0, 200, 0.001 * number) for number in range(100)])


def report(**more: object) -> Report:
    known: dict[str, object] = {
        "sent": 100,
        "statuses": {200: 30, 304: 2, 503: 60, 0: 8},
        "refused": 3,
        "quiet": QUIET,
        "attack": Felts.of([Felt(0, 200, 0.002)] * 3 + [Felt(0, 503, 0.001)]),
        "after": Felts.of([]),
        "watched": True,
        "recognised": 1.23456,
        "over": None,
        "highest": 2,
    }
    return Report(**{**known, **more})  # type: ignore[arg-type]


def test_percentiles() -> None:
    assert [percentile([1, 2, 3, 4], share) for share in (0, 0.5, 0.99)] == [1, 3, 4]
    assert percentile([], 0.5) == 0


def test_only_what_was_answered_counts_as_such_and_has_a_time() -> None:
    felt = report().attack
    assert (felt.requests, felt.answered, felt.p99) == (4, 0.75, 0.002)


def test_for_people() -> None:
    text = str(report(held=[1.0, 2.0, 9.0]))
    assert "100 sent, 32 let through, refused: 8 x no answer, 60 x 503" in text
    assert "held for 2.0 s (median), 9.0 s at most" in text
    assert "4 requests, 75.00% answered, p50 2.0 ms, p99 2.0 ms" in text
    assert "recognised after 1.2 s (attack), not over when the time was up" in text


def test_for_people_of_a_node_that_watches_nothing() -> None:
    assert "no flood stage" in str(report(watched=False))
    assert "not recognised" in str(report(recognised=None))


def test_for_machines() -> None:
    told = json.loads(json.dumps(report().to_json()))
    assert told["attack"] == {
        "sent": 100,
        "through": 32,
        "statuses": {"0": 8, "200": 30, "304": 2, "503": 60},
        "connections_refused": 3,
        "held_median_s": None,
    }
    assert told["flood"] == {"watched": True, "highest": 2, "recognised_s": 1.235, "over_s": None}
    assert told["good"]["attack"] == {"requests": 4, "answered": 0.75, "p50": 0.002, "p99": 0.002}
