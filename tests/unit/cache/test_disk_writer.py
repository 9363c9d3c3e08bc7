"""The thread that writes: batches, bounds, purges between them, and what it does when the environment gives trouble."""

from __future__ import annotations

import logging
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import lmdb
import pytest

from edgeproxy.cache import disk_writer
from edgeproxy.cache.disk_batch import Batch
from edgeproxy.cache.disk_layout import PAGE, piece_key
from edgeproxy.cache.disk_order import Order
from edgeproxy.cache.disk_store import DamagedError
from edgeproxy.cache.disk_writer import Writer
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.record import of_entry
from tests.support.disk import NOW, SIZE, body_of, environment, item, overwrite, purge, reader, stored, write
from tests.support.ports import wait_until

KEY = b"http://a.example/"


class Watched(Writer):
    """A writer with its counts."""

    def __init__(self, folder: Path, size: int = SIZE) -> None:
        self.dropped: Counter[str] = Counter()
        self.evicted = 0
        super().__init__(folder, size, lambda reason: self.dropped.update([reason]), self._count)

    def _count(self, gone: int, bases: Sequence[float]) -> None:
        assert len(bases) == gone
        self.evicted += gone

    def has(self, key: bytes) -> bool:
        return self.store is not None and body_of(self.store, key) is not None


def order(entry: Entry, began: float = NOW) -> Order:
    return Order(of_entry(entry, began, len(entry.body or b""), 0, ()), entry.body)


@pytest.fixture
def make(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Watched]]:
    monkeypatch.setattr(disk_writer, "TICK", 0.02)
    monkeypatch.setattr(disk_writer, "RETRY_AFTER", 0.05)
    monkeypatch.setattr(disk_writer, "SYNC_EVERY", 0.0)
    made: list[Watched] = []

    def make(folder: Path = tmp_path, size: int = SIZE) -> Watched:
        writer = Watched(folder, size)
        made.append(writer)
        writer.start()
        assert writer.ready(10)
        return writer

    yield make
    for writer in made:
        writer.close()
        assert not writer._thread.is_alive()


def test_what_is_handed_over_can_be_read_soon_and_after_a_restart(make: Callable[..., Watched], tmp_path: Path) -> None:
    writer = make()
    for number in range(300):
        writer.put(order(stored(KEY + b"%d" % number, random.Random(number).randbytes(3_000))))
    wait_until(lambda: writer.has(KEY + b"299"), "the last one is written")
    assert (writer.waiting, writer.books[1], writer.dropped) == (0, 300, {})
    writer.close()
    with environment(tmp_path) as store:
        assert all(body_of(store, KEY + b"%d" % number) for number in range(300))


def test_what_is_queued_when_the_worker_leaves_is_written(make: Callable[..., Watched], tmp_path: Path) -> None:
    writer = make()
    for number in range(100):
        writer.put(order(stored(KEY + b"%d" % number)))
    writer.close()
    writer.put(order(stored(KEY + b"late")))
    with environment(tmp_path) as store:
        assert store.books()[1] == 100
    assert writer.dropped == {"down": 1}


def test_the_queue_has_a_bound_in_bytes(tmp_path: Path) -> None:
    with environment(tmp_path) as store:
        writer = Watched(tmp_path)
        writer.store = store  # as if it were open, with nobody to write
        for number in range(10):
            writer.put(order(stored(KEY + b"%d" % number, b"x" * 10_000_000)))
        assert 0 < writer.waiting <= disk_writer.QUEUE_BYTES
        assert writer.dropped == {"queue": 4}


def test_the_limit_is_kept_and_evictions_counted(make: Callable[..., Watched], tmp_path: Path) -> None:
    writer = make(size=16_000_000)
    for number in range(400):
        writer.put(order(stored(KEY + b"%d" % number, random.Random(number).randbytes(100_000))))
        wait_until(lambda: writer.waiting < 10_000_000, "it keeps up")
    wait_until(lambda: writer.has(KEY + b"399") and not writer.waiting, "the last one is written")
    assert writer.evicted > 250
    assert writer.evicted + writer.books[1] == 400
    assert writer.books[0] <= writer.room
    assert (tmp_path / "l2" / "data.mdb").stat().st_size <= 16_000_000
    assert writer.dropped == {}


def test_an_answer_too_large_for_the_tier_is_not_stored(make: Callable[..., Watched]) -> None:
    writer = make(size=16_000_000)
    writer.put(order(stored(KEY, b"x" * 1_000_000)))
    writer.put(order(stored(KEY, tags=tuple(b"%d" % number for number in range(70_000)))))
    wait_until(lambda: writer.dropped == {"too_large": 2}, "both are dropped")


def test_a_smaller_limit_is_come_down_to_and_a_larger_one_used(make: Callable[..., Watched]) -> None:
    writer = make(size=64_000_000)
    for number in range(300):
        writer.put(order(stored(KEY + b"%d" % number, random.Random(number).randbytes(100_000))))
    wait_until(lambda: writer.books[1] == 300, "all are written")
    writer.resize(16_000_000)
    wait_until(lambda: 0 < writer.books[0] <= 12_000_000, "it has come down")
    wait_until(lambda: writer.has(KEY + b"299"), "it is open again, with the youngest in it")
    writer.resize(128_000_000)
    wait_until(lambda: writer.store is not None and writer.store.environment.info()["map_size"] > 100e6, "it is larger")
    for number in range(300):
        writer.put(order(stored(KEY + b"%d" % number, random.Random(number).randbytes(100_000)), NOW + 1))
    wait_until(lambda: writer.books[1] == 300, "all are back")
    assert not writer.trouble


def test_marks_reach_the_environment(make: Callable[..., Watched]) -> None:
    writer = make()
    writer.put(order(stored(KEY)))
    wait_until(lambda: writer.has(KEY), "it is written")
    found = writer.store.find(KEY, {}, 100) if writer.store else None
    assert found is not None
    writer.mark(found.head)
    wait_until(lambda: writer.store.find(KEY, {}, 100).marked, "it is marked")  # type: ignore[union-attr]


def test_a_purge_comes_behind_what_was_handed_over_before_it(make: Callable[..., Watched]) -> None:
    writer = make()
    for number in range(200):
        writer.put(order(stored(KEY + b"%d" % number, b"x" * 50_000)))
    done = writer.purge(purge("all"))
    writer.put(order(stored(KEY + b"after"), NOW + 2))
    done.result(10)
    wait_until(lambda: writer.has(KEY + b"after"), "the later one is written")
    assert writer.books[1] == 1


def test_a_purge_that_was_not_ended_is_ended_before_anything_is_read(
    make: Callable[..., Watched], tmp_path: Path
) -> None:
    with environment(tmp_path) as store:
        write(store, stored(KEY))
        with Batch(store) as batch:
            batch.note(b"purge:1", b'{"kind": "host", "value": "a.example", "soft": false, "at": 1900000000}')
    writer = make()
    assert writer.store is not None
    assert not writer.has(KEY)


def test_what_was_found_damaged_is_taken_away_and_can_come_back(make: Callable[..., Watched]) -> None:
    writer = make()
    entry = stored(KEY, random.Random(1).randbytes(9_000))
    digest = item(entry).record.digests[0]
    writer.put(order(entry))
    wait_until(lambda: writer.has(KEY), "it is written")
    store = writer.store
    assert store is not None
    with store.environment.begin(write=True) as transaction:
        transaction.put(piece_key(digest, 0), b"damaged" * 300, db=store.pieces)
    with pytest.raises(DamagedError) as raised:
        store.find(KEY, {}, 10**6)
    writer.damaged(raised.value)
    wait_until(lambda: writer.books[1] == 0, "it is taken away")
    writer.put(order(entry))
    wait_until(lambda: writer.has(KEY), "it is back")


def test_a_damaged_environment_is_replaced_while_running(
    make: Callable[..., Watched], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = make()
    writer.put(order(stored(KEY)))
    wait_until(lambda: writer.has(KEY), "it is written")
    writer.failed(lmdb.CorruptedError("found out in reading"))
    wait_until(lambda: (tmp_path / "l2.damaged").is_dir() and writer.store is not None, "it is replaced")
    writer.put(order(stored(KEY + b"new")))
    wait_until(lambda: writer.has(KEY + b"new"), "the new one works")
    assert "found out in reading" in caplog.text


def test_pages_scribbled_over_are_found_out_in_writing(
    make: Callable[..., Watched], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with environment(tmp_path) as store:
        write(store, *[stored(KEY + b"%d" % number, b"x" * 500) for number in range(200)])
    writer = make()
    data = tmp_path / "l2" / "data.mdb"
    for page in range(2, data.stat().st_size // PAGE):
        overwrite(data, page * PAGE, os.urandom(64))
    writer.put(order(stored(KEY + b"1", b"y"), NOW + 1))
    wait_until(lambda: (tmp_path / "l2.damaged").is_dir(), "it is moved aside")
    wait_until(lambda: writer.store is not None, "a new one is there")
    writer.put(order(stored(KEY + b"new")))
    wait_until(lambda: writer.has(KEY + b"new"), "the new one works")


def test_an_environment_that_was_cut_or_taken_away_is_opened_anew(make: Callable[..., Watched], tmp_path: Path) -> None:
    writer = make()
    writer.put(order(stored(KEY)))
    wait_until(lambda: writer.has(KEY), "it is written")
    (tmp_path / "l2").rename(tmp_path / "elsewhere")
    wait_until(lambda: (tmp_path / "l2" / "data.mdb").exists() and writer.store is not None, "a new one is begun")
    writer.put(order(stored(KEY + b"new")))
    wait_until(lambda: writer.has(KEY + b"new"), "the new one works")
    assert not writer.has(KEY)


def test_a_folder_that_cannot_be_had_is_said_once_and_tried_again(
    make: Callable[..., Watched], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    blocked = tmp_path / "blocked"
    blocked.touch()
    with caplog.at_level(logging.INFO):
        writer = make(blocked)
        assert writer.store is None
        writer.put(order(stored(KEY)))
        late = writer.purge(purge("url", KEY))
        time.sleep(0.2)  # several tries
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert str(blocked) in caplog.text
        assert (writer.dropped, bool(writer.trouble)) == ({"down": 1}, True)
        blocked.unlink()
        wait_until(lambda: caplog.records[-1].message.endswith("works again"), "it works, and says so")
    assert writer.store is not None
    assert late.result(5) == 0
    writer.put(order(stored(KEY)))
    wait_until(lambda: writer.has(KEY), "it is written")


def test_a_full_file_that_another_process_reads_drops_what_is_new_and_recovers(
    make: Callable[..., Watched], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    writer = make(size=16_000_000)
    for number in range(100):
        writer.put(order(stored(KEY + b"%d" % number, random.Random(number).randbytes(100_000))))
    wait_until(lambda: not writer.waiting, "it is filled")
    written = 100
    with reader(tmp_path):  # what is freed from now on cannot be used
        while not writer.dropped:
            writer.put(order(stored(KEY + b"%d" % written, random.Random(written).randbytes(100_000))))
            written += 1
            wait_until(lambda: not writer.waiting, "it was written, or dropped")
            assert written < 1_000
        assert writer.store is not None, "what is there is still read"
    assert "MAP_FULL" in caplog.text

    def works() -> bool:
        writer.put(order(stored(KEY + b"again")))
        return writer.has(KEY + b"again")

    wait_until(works, "it works again")
    assert set(writer.dropped) == {"error"}
