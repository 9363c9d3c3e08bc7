"""Bodies read from L2 chunk by chunk: all of the bytes asked for, checked, and no others."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from edgeproxy.cache import disk_body
from edgeproxy.cache.disk_batch import Batch
from edgeproxy.cache.disk_body import DiskBody
from edgeproxy.cache.disk_layout import CHUNK, PIECE, piece_key
from edgeproxy.cache.disk_store import Store
from edgeproxy.errors import EdgeError
from tests.support.disk import NOW, environment, item, stored, write

KEY = b"http://a.example/"
BODY = random.Random(5).randbytes(3 * CHUNK + 777)

Open = Callable[..., DiskBody]


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with environment(tmp_path) as store:
        write(store, stored(KEY, BODY))
        yield store


@pytest.fixture
def read(store: Store) -> Iterator[Open]:
    record = item(stored(KEY, BODY)).record
    with ThreadPoolExecutor(2) as pool:

        def read(
            first: int = 0, last: int = len(BODY) - 1, source: Callable[[], Store | None] = lambda: store
        ) -> DiskBody:
            return DiskBody(source, pool, b"head", record, first, last)

        yield read


async def whole(body: DiskBody) -> bytes:
    data = b""
    while chunk := await body.read():
        data += chunk
    return data


@pytest.mark.parametrize(
    ("first", "last"),
    [
        (0, len(BODY) - 1),
        (0, 0),
        (len(BODY) - 1, len(BODY) - 1),
        (CHUNK - 1, CHUNK),
        (CHUNK, 2 * CHUNK - 1),
        (PIECE + 3, 2 * CHUNK + 1),
    ],
)
async def test_the_bytes_asked_for_come_and_no_others(read: Open, first: int, last: int) -> None:
    body = read(first, last)
    assert body.length == last + 1 - first
    assert await whole(body) == BODY[first : last + 1]
    assert await body.read() == b""


async def test_a_damaged_chunk_in_the_middle_ends_the_body_behind_what_was_sound(store: Store, read: Open) -> None:
    digest = item(stored(KEY, BODY)).record.digests[1]
    with store.environment.begin(write=True) as transaction:
        transaction.put(piece_key(digest, 4), b"\0" * PIECE, db=store.pieces)
    body = read()
    assert await body.read() == BODY[:CHUNK]
    with pytest.raises(EdgeError, match="broke off"):
        await body.read()
    assert await body.read() == b""


async def test_what_is_evicted_meanwhile_is_read_to_its_end(store: Store, read: Open) -> None:
    body = read()
    start = await body.read()
    with Batch(store) as batch:
        batch.make_room(0, 10)
    write(store, *[stored(KEY + b"%d" % n, random.Random(n).randbytes(CHUNK)) for n in range(20)], began=NOW)
    assert start + await whole(body) == BODY


async def test_what_is_evicted_while_a_slow_client_reads_breaks_off(
    store: Store, read: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(disk_body, "PINNED", -1.0)
    body = read()
    await body.read()
    with Batch(store) as batch:
        batch.make_room(0, 10)
    with pytest.raises(EdgeError, match="broke off"):
        await body.read()


async def test_it_goes_on_in_an_environment_that_was_opened_anew(tmp_path: Path, read: Open) -> None:
    with environment(tmp_path / "two") as second:
        write(second, stored(KEY, BODY))
        stores: list[Store | None] = [None, None, second]
        body = read(source=lambda: stores.pop(0) if len(stores) > 1 else stores[0])
        assert await whole(body) == BODY


async def test_it_gives_up_where_there_is_none_any_more(read: Open, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(disk_body, "AGAIN", 0.001)
    with pytest.raises(EdgeError, match="broke off"):
        await read(source=lambda: None).read()


async def test_who_leaves_holds_nothing_back(store: Store, read: Open) -> None:
    body = read()
    await body.read()
    assert store.environment.info()["num_readers"] >= 1
    assert body._transaction is not None
    body.close()
    body.close()
    assert body._transaction is None
    assert await body.read() == b""


async def test_who_leaves_in_the_middle_of_a_read_holds_nothing_back(store: Store, read: Open) -> None:
    body = read()
    reading = asyncio.ensure_future(body.read())
    await asyncio.sleep(0)
    reading.cancel()
    body.close()
    body._pool.shutdown(wait=True)
    assert body._transaction is None
