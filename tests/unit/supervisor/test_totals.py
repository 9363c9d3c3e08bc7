import pytest

from edgeproxy.observe.metrics import Metrics
from edgeproxy.supervisor.totals import Totals


@pytest.fixture
def dump():
    def make(count):
        metrics = Metrics()
        metrics.counter("edgeproxy_x_total", "X.").inc(by=count)
        metrics.gauge("edgeproxy_open", "O.", (), lambda: [((), count)])
        return metrics.dump()

    return make


def value(totals, name):
    series = [family["series"] for family in totals.sum() if family["name"] == name]
    return series[0][0][1][0] if series and series[0] else 0


def test_the_dead_go_on_counting_but_hold_nothing_open(dump):
    totals = Totals()
    for pid, count in ((1, 5), (2, 7)):
        totals.born(pid)
        totals.seen(pid, dump(count))
    assert value(totals, "edgeproxy_x_total") == 12
    totals.gone(1)
    assert value(totals, "edgeproxy_x_total") == 12
    assert value(totals, "edgeproxy_open") == 7
    totals.born(3)
    totals.seen(3, dump(1))
    totals.gone(2)
    assert value(totals, "edgeproxy_x_total") == 13


def test_the_last_dump_of_a_worker_counts_once(dump):
    totals = Totals()
    totals.born(1)
    totals.seen(1, dump(5))
    totals.seen(1, dump(6))
    assert value(totals, "edgeproxy_x_total") == 6


def test_a_dump_that_comes_after_the_end_is_not_counted_twice(dump):
    totals = Totals()
    totals.born(1)
    totals.seen(1, dump(5))
    totals.gone(1)
    totals.seen(1, dump(5))
    assert value(totals, "edgeproxy_x_total") == 5
