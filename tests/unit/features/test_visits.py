"""Logs drawn by whole visits, within a bound, and parted by time."""

from __future__ import annotations

from collections import Counter

from edgeproxy.features.log import Record
from edgeproxy.features.visits import HOUR, LONGEST, Draw, parted


def record(time: float, client: str = "192.0.2.7", target: str = "/") -> Record:
    return Record(time, client, "GET", target, 200, 1)


def drawn(records: list[Record], most: int, seed: int = 1) -> list[Record]:
    draw = Draw(most, seed)
    for each in records:
        draw.add(each)
    assert draw.seen == len(records)
    return draw.records()


LOG = [record(place, f"client {place % 500}", f"/{place}") for place in range(10_000)]


def test_a_log_that_fits_is_kept_whole_in_the_order_of_its_time() -> None:
    assert drawn(LOG[::-1], 10_000) == LOG


def test_a_long_log_is_kept_within_the_bound_by_whole_visits() -> None:
    kept = drawn(LOG, 2_000)
    assert 1_900 <= len(kept) <= 2_000
    visits = Counter((each.client, each.time // HOUR) for each in LOG)
    assert all(count == visits[visit] for visit, count in Counter((x.client, x.time // HOUR) for x in kept).items())


def test_the_draw_depends_on_the_seed_and_not_on_the_order() -> None:
    assert drawn(LOG, 2_000) == drawn(LOG[::-1], 2_000)
    assert drawn(LOG, 2_000, seed=1) != drawn(LOG, 2_000, seed=2)


def test_visits_early_and_late_are_drawn_alike() -> None:
    times = sorted(each.time for each in drawn([record(60.0 * n, f"client {n}") for n in range(20_000)], 2_000))
    assert 0.4 < sum(time < 600_000 for time in times) / len(times) < 0.6


def test_one_client_alone_makes_no_log() -> None:
    flood = [record(place / 100, "192.0.2.66") for place in range(50_000)]
    kept = drawn(flood + LOG, 100_000)
    assert Counter(each.client for each in kept)["192.0.2.66"] == LONGEST
    assert len(drawn(flood, LONGEST)) == LONGEST


def test_texts_of_any_kind_are_clients() -> None:
    assert len(drawn([record(1, "\ud800"), record(1, "日本")], 1_000)) == 2


def test_the_newest_part_begins_at_a_moment() -> None:
    records = [record(time) for time in (1, 2, 3, 4, 5, 6, 7, 8, 8, 9)]
    older, newer = parted(records, 0.2)
    assert [each.time for each in older] == [1, 2, 3, 4, 5, 6, 7]
    assert [each.time for each in newer] == [8, 8, 9]


def test_where_all_is_one_moment_nothing_is_older() -> None:
    assert parted([record(1)] * 5, 0.2) == ([], [record(1)] * 5)
    assert parted([], 0.2) == ([], [])
