"""What metrics are shown as: sums, shares, percentiles, and what came between two moments."""

from __future__ import annotations

import pytest

from edgeproxy.clock import ManualClock
from edgeproxy.http.message import FieldBlock, Request, Response
from edgeproxy.observe.analytics import evicted_ages
from edgeproxy.observe.metrics import Metrics
from edgeproxy.observe.record import Observer
from edgeproxy.pipeline.exchange import Exchange, Peer
from edgeproxy.supervisor.figures import DURATIONS, Figures, breakdown, figures, point, quantile, rates, since, stored
from tests.support.stages import route


class Node:
    """A worker's observer, and exchanges that end in it."""

    def __init__(self) -> None:
        self.metrics = Metrics()
        self.clock = ManualClock()
        self.observer = Observer(self.metrics, self.clock)

    def answered(self, verdict: bytes, kind: bytes = b"text/html", status: int = 200, sent: int = 100) -> None:
        x = Exchange(
            Request(b"GET", b"/", {}, authority=b"a.test"), Peer("", 0, "", "", None), self.clock.monotonic() - 0.02
        )
        x.route = route()
        x.response = Response(status, shared=FieldBlock({b"content-type": kind}))
        x.status, x.verdict, x.sent = status, verdict, sent
        self.observer.log(x)

    def figures(self) -> Figures:
        self.observer.flush()
        return figures(self.metrics.dump())


@pytest.fixture
def node() -> Node:
    node = Node()
    for verdict in (b"hit", b"hit", b"hit; detail=l2", b"fwd=uri-miss; collapsed", b"fwd=uri-miss", b"fwd=bypass"):
        node.answered(verdict)
    node.answered(b"hit", b"image/png", sent=900)
    node.answered(b"", status=403)
    return node


def test_answers_are_split_by_tier_type_and_route(node: Node) -> None:
    told = breakdown(node.figures())
    assert {tier: part["requests"] for tier, part in told["tiers"].items()} == {
        "l1": 3,
        "l2": 1,
        "collapsed": 1,
        "origin": 2,
    }
    assert told["types"]["html"] == {"requests": 6, "hits": 4, "bytes": 600, "hit_bytes": 400}
    assert told["types"]["image"] == {"requests": 1, "hits": 1, "bytes": 900, "hit_bytes": 900}
    assert told["routes"] == {"site": {"requests": 7, "hits": 5, "bytes": 1500, "hit_bytes": 1300}}


def test_hit_ratios_are_of_what_the_cache_was_asked_for(node: Node) -> None:
    told = breakdown(node.figures())
    assert (told["requests"], told["bytes"]) == (8, 1600)
    assert told["hit_ratio"] == 5 / 7
    assert told["byte_hit_ratio"] == 1300 / 1500


def test_statuses_and_reasons_of_misses_are_counted(node: Node) -> None:
    told = breakdown(node.figures())
    assert told["statuses"] == {"2xx": 7, "4xx": 1}
    assert told["misses"] == {"uri-miss": 2, "bypass": 1}


def test_nothing_yet_has_no_ratios() -> None:
    nothing = Figures({}, {}, {})
    told = breakdown(nothing)
    assert (told["requests"], told["hit_ratio"], told["byte_hit_ratio"], told["tiers"]) == (0, None, None, {})
    assert rates(point(nothing), point(nothing), 1.0, [])["latency"] == {"p50": None, "p90": None, "p99": None}


def test_what_came_since_a_moment_is_the_difference(node: Node) -> None:
    before = node.figures()
    node.answered(b"hit; detail=l3")
    node.answered(b"fwd=uri-miss", status=502)
    told = breakdown(since(node.figures(), before))
    assert told["statuses"] == {"2xx": 1, "5xx": 1}
    assert set(told["tiers"]) == {"l3", "origin"}
    assert told["hit_ratio"] == 0.5


def test_rates_are_of_the_time_between_two_moments(node: Node) -> None:
    before = point(node.figures())
    for _ in range(20):
        node.answered(b"hit", sent=50)
    now = node.figures()
    told = rates(point(now), before, 4.0, now.bounds[DURATIONS])
    assert (told["requests"], told["bytes"], told["hit_ratio"]) == (5.0, 250.0, 1.0)
    assert 0.01 < told["latency"]["p50"] < told["latency"]["p99"] <= 0.025


def test_evictions_are_told_with_the_age_of_what_went() -> None:
    metrics = Metrics()
    metrics.counter("edgeproxy_cache_evictions_total", "", ("tier",)).inc("l1", by=3)
    for age in (2.0, 30.0, 30.0):
        evicted_ages(metrics).observe(age, "l1")
    told = breakdown(figures(metrics.dump()))["evictions"]
    assert told["l1"]["number"] == 3
    assert 10.0 < told["l1"]["median_age"] < 60.0


def test_what_tiers_hold_is_told_as_it_is_now() -> None:
    metrics = Metrics()
    metrics.gauge("edgeproxy_cache_bytes", "", ("tier",), lambda: [(("l1",), 700.0)])
    metrics.gauge("edgeproxy_cache_entries", "", ("tier",), lambda: [(("l1",), 7.0)])
    metrics.gauge("edgeproxy_cache_disk_bytes", "", (), lambda: [((), 9000.0)])
    now = figures(metrics.dump())
    assert stored(since(now, now)) == {"l1": {"bytes": 700.0, "entries": 7.0}, "l2": {"bytes": 9000.0}}


@pytest.mark.parametrize(
    ("share", "value"),
    [(0.0, 0.0), (0.25, 0.5), (0.5, 1.0), (0.75, 3.0), (1.0, 5.0)],
)
def test_a_quantile_lies_within_its_bucket(share: float, value: float) -> None:
    assert quantile(share, [1.0, 5.0], [10, 10, 0, 0.0]) == pytest.approx(value)


def test_a_quantile_above_all_bounds_is_the_last_one() -> None:
    assert quantile(0.99, [1.0, 5.0], [1, 0, 99, 0.0]) == 5.0


def test_there_is_no_quantile_of_nothing() -> None:
    assert quantile(0.5, [1.0], [0, 0, 0.0]) is None
    assert quantile(0.5, [], []) is None
