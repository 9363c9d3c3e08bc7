"""The tier as the cache sees it: entries in, entries out, purges that hold at once, and nothing when it is down."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeproxy.cache import disk_shadow, disk_writer
from edgeproxy.cache.disk import Disk
from edgeproxy.cache.disk_layout import CHUNK, piece_key
from edgeproxy.cache.entry import Entry
from edgeproxy.observe.metrics import Metrics
from tests.support.disk import NOW, SIZE, item, purge, stored
from tests.support.ports import wait_until

KEY = b"http://a.example/"
INLINE = 100_000


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
def disk(tmp_path: Path, metrics: Metrics, monkeypatch: pytest.MonkeyPatch) -> Iterator[Disk]:
    monkeypatch.setattr(disk_writer, "TICK", 0.02)
    disk = Disk(tmp_path, SIZE, INLINE, metrics)
    disk.start()
    assert disk.ready()
    yield disk
    disk.close()


@pytest.fixture
def keep(disk: Disk) -> Callable[..., None]:
    """Puts an entry, and waits until it can be read."""

    def keep(entry: Entry, began: float = NOW) -> None:
        disk.put(entry, began)
        wait_until(lambda: not disk._writer.waiting and disk.get(entry.key, {}) is not None, "it is written")

    return keep


def number(metrics: Metrics, name: str, *labels: str) -> float:
    (family,) = [family for family in metrics.dump() if family["name"] == name]
    return sum(values[0] for given, values in family["series"] if given[: len(labels)] == list(labels))


def test_an_entry_comes_back_as_it_was(disk: Disk, keep: Callable[..., None]) -> None:
    entry = stored(KEY, b"body", tags=(b"t",))
    keep(entry)
    again = disk.get(KEY, {})
    assert again is not None
    assert (again.body, again.etag, again.tags, again.fresh_until) == (b"body", b'"1"', (b"t",), entry.fresh_until)
    assert disk.get(KEY + b"other", {}) is None


async def test_a_long_body_is_left_where_it_is_and_read_from_there(disk: Disk, keep: Callable[..., None]) -> None:
    body = random.Random(1).randbytes(INLINE + CHUNK)
    keep(stored(KEY, body))
    entry = disk.get(KEY, {})
    assert entry is not None
    assert (entry.body, entry.fill) == (None, None)
    assert entry.source is not None
    assert entry.source.length == len(body)
    part = entry.source.read(10, INLINE + 9)
    data = b""
    while chunk := await part.read():
        data += chunk
    assert data == body[10 : INLINE + 10]


def test_new_fields_of_a_long_body_are_written_without_it(disk: Disk, keep: Callable[..., None]) -> None:
    keep(stored(KEY, b"x" * (INLINE + 1)))
    entry = disk.get(KEY, {})
    assert entry is not None
    entry.renew({b"etag": b'"2"'}, entry.terms, NOW + 5)
    disk.put(entry, NOW + 5)
    wait_until(lambda: getattr(disk.get(KEY, {}), "etag", None) == b'"2"', "the fields are new")
    assert disk._writer.books[1] == 1


def test_an_entry_without_a_body_is_not_stored(disk: Disk) -> None:
    entry = stored(KEY)
    entry.body = None
    disk.put(entry, NOW)
    assert disk._writer.waiting == 0


@pytest.mark.parametrize("soft", [False, True])
def test_what_is_purged_is_not_found_from_that_moment_on(disk: Disk, keep: Callable[..., None], soft: bool) -> None:
    keep(stored(KEY, tags=(b"t",)))
    with disk._writer._wake:  # its thread cannot begin
        done = disk.purge(purge("tag", b"t", soft=soft, at=NOW + 3))
        assert disk.get(KEY, {}) is None
    assert done.result(5) == 1
    entry = disk.get(KEY, {})
    assert (entry is not None) is soft
    if entry is not None:
        assert entry.fresh_until == NOW + 3


def test_what_another_worker_wrote_before_it_heard_of_the_purge_is_not_found(
    disk: Disk, keep: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(stored(KEY))
    assert disk.purge(purge("url", KEY, at=NOW + 3)).result(5) == 1
    disk.put(stored(KEY), NOW + 2)
    wait_until(lambda: disk._writer.books[1] == 1, "it is written")
    assert disk.get(KEY, {}) is None
    keep(stored(KEY), NOW + 4)
    monkeypatch.setattr(disk_shadow, "SETTLING", -1.0)
    assert disk.get(KEY, {}) is not None
    assert not len(disk._shadow)


def test_a_damaged_body_is_a_miss_that_is_counted_and_mended(
    disk: Disk, keep: Callable[..., None], metrics: Metrics
) -> None:
    entry = stored(KEY, random.Random(1).randbytes(9_000))
    keep(entry)
    store = disk._writer.store
    assert store is not None
    with store.environment.begin(write=True) as transaction:
        transaction.put(piece_key(item(entry).record.digests[0], 1), b"\0" * 4_080, db=store.pieces)
    assert disk.get(KEY, {}) is None
    assert number(metrics, "edgeproxy_cache_errors_total", "l2") == 1
    wait_until(lambda: disk._writer.books[1] == 0, "it is taken away")
    keep(entry)


def test_what_it_has_and_does_is_shown(disk: Disk, keep: Callable[..., None], metrics: Metrics) -> None:
    assert number(metrics, "edgeproxy_cache_disk_up") == 1
    keep(stored(KEY, b"x" * 5_000))
    hits = number(metrics, "edgeproxy_cache_tier_hits_total", "l2")
    disk.get(KEY, {})
    assert number(metrics, "edgeproxy_cache_tier_hits_total", "l2") == hits + 1
    assert 5_000 < number(metrics, "edgeproxy_cache_disk_bytes") < 15_000
    assert number(metrics, "edgeproxy_cache_disk_entries") == 1
    assert number(metrics, "edgeproxy_cache_queue_bytes", "l2") == 0
    disk.put(stored(KEY, b"x" * 30_000_000), NOW)
    wait_until(lambda: number(metrics, "edgeproxy_cache_dropped_total", "l2", "too_large") == 1, "it is dropped")
    assert "1 answers" in repr(disk)
    disk.close()
    assert not [family for family in metrics.dump() if family["name"] == "edgeproxy_cache_disk_up" and family["series"]]


def test_where_there_is_no_disk_everything_is_a_miss(tmp_path: Path, metrics: Metrics) -> None:
    (tmp_path / "file").touch()
    disk = Disk(tmp_path / "file", SIZE, INLINE, metrics)
    disk.start()
    assert disk.ready()
    assert disk.get(KEY, {}) is None
    disk.put(stored(KEY), NOW)
    assert number(metrics, "edgeproxy_cache_dropped_total", "l2", "down") == 1
    assert number(metrics, "edgeproxy_cache_disk_up") == 0
    disk.close()


def test_other_limits_hold_from_the_next_answer_on(disk: Disk, keep: Callable[..., None]) -> None:
    keep(stored(KEY, b"x" * 50_000))
    disk.resize(2 * SIZE, 10_000)
    wait_until(lambda: getattr(disk.get(KEY, {}), "source", None) is not None, "it is read piece by piece")
