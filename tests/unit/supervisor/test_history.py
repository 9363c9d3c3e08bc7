"""The last minutes: bounded, and counted from a moment that is not too long ago."""

from __future__ import annotations

from edgeproxy.observe.metrics import Metrics
from edgeproxy.observe.top import TURN
from edgeproxy.supervisor.history import POINTS, History


class Counting:
    """Requests that are counted, all alike."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self._requests = self.metrics.counter("edgeproxy_requests_total", "", ("route", "method", "status", "cache"))

    def more(self, number: int) -> Counting:
        self._requests.inc("site", "GET", "2xx", "none", by=number)
        return self


def test_the_first_look_counts_from_the_start() -> None:
    told = History(100.0).stats(104.0, Counting().more(8).metrics.dump())
    assert told["now"]["seconds"] == 4.0
    assert told["now"]["requests"] == 2.0
    assert (told["window"]["seconds"], told["window"]["requests"]) == (4.0, 8)
    assert told["history"] == []


def test_now_is_the_last_seconds_and_history_what_was_before() -> None:
    history, counting = History(0.0), Counting()
    for number in range(1, 11):
        history.add(5.0 * number, counting.more(50 if number <= 5 else 5).metrics.dump())
    told = history.stats(51.0, counting.more(2).metrics.dump())
    assert told["now"]["seconds"] == 11.0  # from 40 on: 45 is too near
    assert told["now"]["requests"] == 12 / 11
    assert [one["requests"] for one in told["history"]] == [10.0] * 5 + [1.0] * 5


def test_history_has_a_bound() -> None:
    history, counting = History(0.0), Counting()
    for number in range(1, 3 * POINTS):
        history.add(5.0 * number, counting.more(1).metrics.dump())
    assert len(history.stats(5.0 * 3 * POINTS, counting.metrics.dump())["history"]) == POINTS


def test_the_window_is_one_to_two_turns_long() -> None:
    history, counting, at = History(0.0), Counting(), 0.0
    while at < 10 * TURN:
        at += 5.0
        history.add(at, counting.more(5).metrics.dump())
        told = history.stats(at, counting.metrics.dump())["window"]
        assert told["seconds"] <= 2 * TURN + 5.0
        assert told["seconds"] >= min(at, TURN)
        assert told["requests"] == told["seconds"]


def test_looking_twice_in_a_moment_divides_by_no_zero() -> None:
    assert History(7.0).stats(7.0, Metrics().dump())["now"]["requests"] == 0.0
