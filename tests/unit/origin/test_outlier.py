from __future__ import annotations

import pytest

from edgeproxy.config.schema import OutlierConfig
from edgeproxy.origin.outlier import LONGEST, Record, room

CONFIG = OutlierConfig(failures=3, eject_for=10, max_ejected=0.5)


def test_only_failures_in_a_row_earn_an_ejection():
    record = Record(CONFIG)
    assert [record.failure(0), record.failure(0)] == [False, False]
    record.success()
    assert [record.failure(0), record.failure(0), record.failure(0)] == [False, False, True]


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
