import gc
import json

import pytest

from edgeproxy.observe.metrics import Metrics, lasting, merge, render


def test_a_counter_asked_for_twice_is_the_same():
    metrics = Metrics()
    first = metrics.counter("edgeproxy_x_total", "X.", ("a",))
    assert metrics.counter("edgeproxy_x_total", "X.", ("a",)) is first


def test_one_name_cannot_mean_two_things():
    metrics = Metrics()
    metrics.counter("edgeproxy_x_total", "X.", ("a",))
    with pytest.raises(ValueError, match="edgeproxy_x_total"):
        metrics.counter("edgeproxy_x_total", "X.", ("b",))
    with pytest.raises(ValueError, match="edgeproxy_x_total"):
        metrics.histogram("edgeproxy_x_total", "X.", ("a",))
    with pytest.raises(ValueError, match="cannot be"):
        metrics.counter("edgeproxy-x", "X.")


def test_a_counter_must_be_given_its_labels():
    counter = Metrics().counter("edgeproxy_x_total", "X.", ("a", "b"))
    with pytest.raises(ValueError, match="labels"):
        counter.inc("only one")


def test_the_live_number_of_a_label_set_is_the_counters_own():
    counter = Metrics().counter("edgeproxy_x_total", "X.", ("a",), limit=1)
    cell = counter.cell("one")
    cell[0] += 2
    counter.inc("one")
    counter.cell("two")[0] += 5
    assert counter.cell("one") is cell
    assert (counter.value("one"), counter.value("_other")) == (3, 5)
    with pytest.raises(ValueError, match="labels"):
        counter.cell("one", "more")


def test_label_sets_past_the_bound_are_counted_as_other():
    counter = Metrics().counter("edgeproxy_x_total", "X.", ("host",), limit=2)
    for host in ("a", "b", "c", "d", "a"):
        counter.inc(host)
    assert counter.value("a") == 2
    assert counter.value("c") == 0
    assert counter.value("_other") == 2


def test_histograms_and_gauges_are_bounded_too():
    metrics = Metrics()
    histogram = metrics.histogram("edgeproxy_h", "H.", ("a",), (1,), limit=1)
    histogram.observe(1, "a")
    histogram.observe(1, "b")
    metrics.gauge("edgeproxy_g", "G.", ("a",), lambda: [((str(i),), 1) for i in range(5)], limit=2)
    text = render(metrics.dump()).decode()
    assert 'edgeproxy_h_count{a="_other"} 1.0' in text
    assert 'edgeproxy_g{a="_other"} 3.0' in text


def test_an_observation_falls_into_the_bucket_whose_bound_it_equals():
    metrics = Metrics()
    histogram = metrics.histogram("edgeproxy_h_seconds", "H.", (), (0.1, 1.0))
    for value in (0.1, 0.5, 7.0):
        histogram.observe(value)
    text = render(metrics.dump()).decode()
    assert 'edgeproxy_h_seconds_bucket{le="0.1"} 1.0' in text
    assert 'edgeproxy_h_seconds_bucket{le="1.0"} 2.0' in text
    assert 'edgeproxy_h_seconds_bucket{le="+Inf"} 3.0' in text
    assert "edgeproxy_h_seconds_sum 7.6" in text


def test_dumps_pass_through_json_and_add_up():
    dumps = []
    for number in (1, 2):
        metrics = Metrics()
        metrics.counter("edgeproxy_x_total", "X.", ("a",)).inc("q", by=number)
        metrics.gauge("edgeproxy_sum", "G.", (), lambda number=number: [((), number)])
        metrics.gauge("edgeproxy_least", "G.", (), lambda number=number: [((), number)], merge="min")
        metrics.gauge("edgeproxy_most", "G.", (), lambda number=number: [((), number)], merge="max")
        metrics.histogram("edgeproxy_h", "H.", (), (1,)).observe(number)
        dumps.append(json.loads(json.dumps(metrics.dump())))
    lines = render(merge(dumps)).decode().splitlines()
    assert 'edgeproxy_x_total{a="q"} 3.0' in lines
    assert "edgeproxy_sum 3.0" in lines
    assert "edgeproxy_least 1.0" in lines
    assert "edgeproxy_most 2.0" in lines
    assert 'edgeproxy_h_bucket{le="1.0"} 1.0' in lines
    assert "edgeproxy_h_count 2.0" in lines


def test_merging_leaves_what_was_merged_as_it_was():
    metrics = Metrics()
    metrics.counter("edgeproxy_x_total", "X.").inc()
    dump = metrics.dump()
    before = json.dumps(dump)
    merge([dump, dump])
    assert json.dumps(dump) == before


def test_a_family_of_another_shape_is_not_added():
    one, two = Metrics(), Metrics()
    one.histogram("edgeproxy_h", "H.", (), (1,)).observe(1)
    two.histogram("edgeproxy_h", "H.", (), (1, 2)).observe(1)
    assert "edgeproxy_h_count 1.0" in render(merge([one.dump(), two.dump()])).decode()


def test_of_a_dead_process_counters_last_and_gauges_do_not():
    metrics = Metrics()
    metrics.counter("edgeproxy_x_total", "X.").inc()
    metrics.gauge("edgeproxy_g", "G.", (), lambda: [((), 1)])
    names = {family["name"] for family in lasting(metrics.dump())}
    assert "edgeproxy_x_total" in names
    assert "edgeproxy_g" not in names


def test_a_counter_without_labels_is_shown_before_it_counts():
    metrics = Metrics()
    metrics.counter("edgeproxy_x_total", "X.")
    assert "edgeproxy_x_total 0.0" in render(metrics.dump()).decode()


def test_label_values_cannot_break_the_exposition():
    metrics = Metrics()
    metrics.counter("edgeproxy_x_total", "X.", ("a",)).inc('"} 1\nforged_total 7\\')
    lines = render(metrics.dump()).decode().splitlines()
    assert not any(line.startswith("forged") for line in lines)
    assert r'edgeproxy_x_total{a="\"} 1\nforged_total 7\\"} 1.0' in lines


def test_observed_counts_by_stage():
    metrics = Metrics()
    would_answer = metrics.observed("rate_limit")
    would_answer()
    would_answer()
    assert 'edgeproxy_observed_total{stage="rate_limit"} 2.0' in render(metrics.dump()).decode()


class Pool:
    def read(self):
        return [(("a",), 1)]


def test_the_gauge_of_an_object_that_is_gone_is_gone_too():
    metrics = Metrics()
    pool = Pool()
    metrics.gauge("edgeproxy_g", "G.", ("a",), pool.read)
    assert 'edgeproxy_g{a="a"} 1.0' in render(metrics.dump()).decode()
    del pool
    gc.collect()
    assert 'edgeproxy_g{a="a"}' not in render(metrics.dump()).decode()


def test_a_gauge_reader_can_be_taken_out_and_several_add_up():
    metrics = Metrics()
    remove = metrics.gauge("edgeproxy_g", "G.", (), lambda: [((), 1)])
    metrics.gauge("edgeproxy_g", "G.", (), lambda: [((), 2)])
    assert "edgeproxy_g 3.0" in render(metrics.dump()).decode()
    remove()
    remove()
    assert "edgeproxy_g 2.0" in render(metrics.dump()).decode()
