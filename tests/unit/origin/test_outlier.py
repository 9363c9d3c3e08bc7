from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.config.pools import OutlierConfig, SlowConfig
from edgeproxy.origin.outlier import LONGEST, SLICES, Record, Window, room, usual

CONFIG = OutlierConfig(failures=3, eject_for=10, max_ejected=0.5)


def test_only_failures_in_a_row_earn_an_ejection():
    record = Record(CONFIG)
    assert [record.failure(0), record.failure(0)] == ["", ""]
    record.success(0)
    assert [record.failure(0), record.failure(0), record.failure(0)] == ["", "", "failures"]


def test_an_ejection_ends_by_itself():
    record = Record(CONFIG)
    assert record.eject(100) == 10
    assert record.ejected(109.9)
    assert not record.ejected(110)
    assert not record.failure(105)  # a late failure of an earlier request changes nothing


def test_ejections_in_a_row_grow_up_to_a_limit():
    record = Record(CONFIG)
    now = 0.0
    lengths = []
    for _ in range(LONGEST + 2):
        lengths.append(record.eject(now))
        now = record.ejected_until + 1
    assert lengths == [*(10.0 * i for i in range(1, LONGEST + 1)), 100, 100]


def test_an_endpoint_that_stayed_well_starts_over():
    record = Record(CONFIG)
    record.eject(0)
    assert record.eject(record.ejected_until + 1) == 20
    assert record.eject(record.ejected_until + 21) == 10


def test_without_settings_nothing_is_ejected():
    record = Record(None)
    assert not any(record.failure(0) for _ in range(100))
    assert not room(None, 0, 10)


@pytest.mark.parametrize(("endpoints", "most"), [(1, 0), (2, 1), (3, 1), (4, 2), (10, 5)])
def test_at_most_the_share_is_ejected(endpoints, most):
    ejected = 0
    while room(CONFIG, ejected, endpoints):
        ejected += 1
    assert ejected == most


def test_a_share_of_failures_within_the_window_earns_one_too():
    record = Record(OutlierConfig(failures=100, error_share=0.5, requests=10, window=10))
    for i in range(4):
        assert record.failure(i) == ""
        record.success(i)
    assert record.failure(4) == ""
    assert record.failure(4) == "error_share"


def test_failures_before_the_window_are_forgotten():
    record = Record(OutlierConfig(failures=100, error_share=0.5, requests=10, window=10))
    for _ in range(9):
        record.failure(100)
    assert record.failure(111) == ""


def test_an_endpoint_is_slow_only_beside_others_and_only_if_that_lasts():
    slow = SlowConfig(factor=3, lasting=10)
    records = [Record(CONFIG) for _ in range(4)]
    for record in records[:2]:
        record.took(0.01)
    assert usual(records) == 0.0
    records[2].took(0.02)
    records[3].took(0.1)
    assert usual(records) == pytest.approx(0.015)
    assert not records[3].slow(slow, 0.015, 100)
    assert not records[3].slow(slow, 0.015, 109)
    assert records[3].slow(slow, 0.015, 110)
    assert not records[2].slow(slow, 0.015, 110)
    for _ in range(100):
        records[3].took(0.01)
    assert not records[3].slow(slow, 0.015, 111)
    records[3].took(5)
    assert not records[3].slow(slow, 0.015, 112)  # from here on anew


def test_after_an_ejection_an_endpoint_is_judged_anew():
    record = Record(CONFIG)
    record.took(5)
    record.failure(0)
    record.failure(0)
    record.eject(0)
    assert (record.failures, record.seconds) == (0, 0.0)


@given(st.lists(st.tuples(st.floats(0, 1e5), st.booleans()), max_size=60), st.floats(1, 600))
def test_a_window_counts_what_is_no_older_than_it_is_long(events: list[tuple[float, bool]], length: float):
    window = Window(length)
    events.sort()
    for i, (now, failed) in enumerate(events):
        window.add(now, failed=failed)
        slots = [(int(at / (length / SLICES)), bad) for at, bad in events[: i + 1]]
        kept = [bad for slot, bad in slots if slot > slots[-1][0] - SLICES]
        assert (window.requests, window.failed) == (len(kept), sum(kept))
