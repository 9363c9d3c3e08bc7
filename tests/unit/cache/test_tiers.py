"""The tiers of a worker: purges reach what is stored and what is under way; fetches end with the worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edgeproxy.cache.collapse import Flight
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.purge import named
from edgeproxy.cache.tiers import Tiers
from edgeproxy.clock import ManualClock
from tests.support.stages import services

KEY = b"http://www.example.com/"
NOW = 1_800_000_000.0


@pytest.fixture
def clock() -> ManualClock:
    return ManualClock()


@pytest.fixture
def tiers(clock: ManualClock) -> Tiers:
    return services(clock).cache


def test_a_purge_forgets_every_variant_and_lets_nobody_join_what_is_under_way(
    tiers: Tiers, entry: Callable[..., Entry]
) -> None:
    for variant in (b"gzip", b"br"):
        tiers.memory.put(entry(vary=(b"accept-encoding",), variant=variant))
    tiers.memory.put(entry(key=b"http://www.example.com/other"))
    tiers.flights.add(KEY, b"gzip", Flight())
    tiers.passing.add(KEY)
    assert tiers.purge(named("url", "HTTP://WWW.example.com:80", NOW)) == 2
    assert tiers.flights.waiting(KEY, b"gzip") is None
    assert KEY not in tiers.passing
    assert list(tiers.memory.resources) == [b"http://www.example.com/other"]
    assert tiers.purge(named("url", "http://www.example.com/", NOW)) == 0


def test_a_purge_reaches_every_partition(tiers: Tiers, entry: Callable[..., Entry]) -> None:
    for partition in (b"beta", b"canary"):
        tiers.memory.put(entry(key=KEY + b"#" + partition))
    tiers.memory.put(entry())
    tiers.flights.add(KEY + b"#beta", b"", Flight())
    assert tiers.purge(named("url", "http://www.example.com/", NOW)) == 3
    assert tiers.flights.waiting(KEY + b"#beta", b"") is None
    assert not tiers.memory.resources


@pytest.mark.parametrize(
    ("kind", "value", "left"),
    [
        ("prefix", "http://www.example.com/a", [b"http://shop.example.com/", b"http://www.example.com/b"]),
        ("host", "www.example.com", [b"http://shop.example.com/"]),
        ("tag", "t1", [b"http://shop.example.com/", b"http://www.example.com/b"]),
        ("all", "", []),
    ],
)
def test_purges_of_every_kind(
    kind: str, value: str, left: list[bytes], tiers: Tiers, entry: Callable[..., Entry]
) -> None:
    for key, tags in (
        (b"http://www.example.com/a#beta", (b"t1", b"t2")),
        (b"http://www.example.com/b", (b"t2",)),
        (b"http://shop.example.com/", ()),
    ):
        tiers.memory.put(entry(key=key, tags=tags))
    assert tiers.purge(named(kind, value, NOW)) == 3 - len(left)
    assert sorted(tiers.memory.resources) == left


def test_a_soft_purge_marks_stale_and_keeps(tiers: Tiers, clock: ManualClock, entry: Callable[..., Entry]) -> None:
    kept = entry({b"cache-control": b"max-age=60"}, while_revalidate=30.0)
    tiers.memory.put(kept)
    size = tiers.memory.size
    clock.advance(7)
    assert tiers.purge(named("all", "", clock.wall(), soft=True)) == 1
    assert tiers.memory.holds(kept)
    assert (kept.fresh_until, kept.terms.lifetime, kept.terms.while_revalidate) == (clock.wall(), 7.0, 30.0)
    assert tiers.memory.size == size - 2 * len(b"0")  # max-age=60 became max-age=7


@pytest.mark.parametrize("soft", [False, True])
def test_what_was_being_fetched_when_a_purge_came_is_not_stored(
    soft: bool, tiers: Tiers, clock: ManualClock, entry: Callable[..., Entry]
) -> None:
    began = clock.wall()
    clock.advance(1)
    tiers.purge(named("tag", "t1", clock.wall(), soft=soft))
    tiers.put(entry(tags=(b"t1",)), began)
    assert len(tiers.memory) == 0
    tiers.put(entry(tags=(b"t2",)), began)
    assert len(tiers.memory) == 1
    clock.advance(1)
    tiers.put(entry(tags=(b"t1",)), clock.wall())
    assert tiers.purge(named("tag", "t1", clock.wall())) == 1


def test_a_change_forgets_the_url_wherever_it_is_kept(tiers: Tiers, entry: Callable[..., Entry]) -> None:
    for key in (KEY, KEY + b"#beta", KEY + b"b"):
        tiers.memory.put(entry(key=key))
    tiers.invalidate(KEY + b"#canary")
    assert list(tiers.memory.resources) == [KEY + b"b"]


def test_nobody_joins_a_fetch_whose_tags_a_purge_may_be_about(tiers: Tiers) -> None:
    tiers.flights.add(KEY, b"", Flight())
    tiers.purge(named("tag", "t1", NOW))
    assert tiers.flights.waiting(KEY, b"") is None


async def test_fetches_outlive_who_began_them_and_end_with_the_worker(tiers: Tiers) -> None:
    events: list[str] = []

    async def fetch(name: str, gate: asyncio.Event) -> None:
        try:
            await gate.wait()
            events.append(f"{name} done")
        except asyncio.CancelledError:
            events.append(f"{name} cancelled")
            raise

    opened = asyncio.Event()
    opened.set()
    tiers.spawn(fetch("one", opened))
    tiers.spawn(fetch("two", asyncio.Event()))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert events == ["one done"]
    await tiers.close()
    assert events == ["one done", "two cancelled"]


# L2.


@pytest.fixture
async def on_disk(tiers: Tiers, tmp_path: Path) -> AsyncIterator[Tiers]:
    await tiers.use_disk(tmp_path, 32_000_000, 1_000)
    yield tiers
    await tiers.leave_disk()


async def there(tiers: Tiers, key: bytes) -> Entry:
    for _ in range(500):
        found = None if tiers.disk is None else tiers.disk.get(key, {})
        if found is not None:
            return found
        await asyncio.sleep(0.01)
    raise AssertionError("not written")


async def test_what_is_whole_goes_to_the_disk_and_a_short_one_comes_back_into_memory(
    on_disk: Tiers, entry: Callable[..., Entry]
) -> None:
    on_disk.whole(entry(), NOW)
    on_disk.whole(entry(key=KEY + b"long", body=b"x" * 1_001), NOW)
    await there(on_disk, KEY)
    await there(on_disk, KEY + b"long")
    assert not on_disk.memory.resources
    found = on_disk.below(KEY, {})
    assert found is not None
    assert on_disk.memory.get(KEY, {}) is found
    long = on_disk.below(KEY + b"long", {})
    assert long is not None
    assert long.source is not None
    assert list(on_disk.memory.resources) == [KEY]
    assert on_disk.below(KEY + b"other", {}) is None


async def test_what_memory_has_under_another_vary_is_newer_than_the_disks(
    on_disk: Tiers, entry: Callable[..., Entry]
) -> None:
    on_disk.whole(entry(), NOW)
    await there(on_disk, KEY)
    on_disk.memory.put(entry(vary=(b"accept",), variant=b"=a"))
    assert on_disk.below(KEY, {b"accept": b"b"}) is None
    assert on_disk.memory.get(KEY, {b"accept": b"a"}) is not None


async def test_what_another_worker_fetched_since_takes_the_place_of_what_is_stale(
    on_disk: Tiers, entry: Callable[..., Entry]
) -> None:
    old, new = entry(), entry(initial_age=-30.0)
    on_disk.memory.put(old)
    on_disk.whole(old, NOW)
    await there(on_disk, KEY)
    assert on_disk.newer(old, {}) is None
    on_disk.whole(new, NOW + 1)
    for _ in range(500):
        found = on_disk.newer(old, {})
        if found is not None:
            break
        await asyncio.sleep(0.01)
    assert found is not None
    assert found.base == new.base
    assert on_disk.memory.get(KEY, {}) is found


async def test_a_purge_reaches_the_disk_and_what_was_fetched_before_stays_out(
    on_disk: Tiers, entry: Callable[..., Entry], clock: ManualClock
) -> None:
    on_disk.whole(entry(), NOW)
    await there(on_disk, KEY)
    assert on_disk.purge(named("url", KEY.decode(), NOW + 1)) == 0
    assert on_disk.below(KEY, {}) is None
    assert await on_disk.purged() == 1
    assert await on_disk.purged() == 0
    on_disk.whole(entry(), NOW)
    assert on_disk.disk is not None
    assert on_disk.disk._writer.waiting == 0


async def test_the_same_folder_stays_open_and_another_one_takes_its_place(
    on_disk: Tiers, entry: Callable[..., Entry], tmp_path: Path
) -> None:
    disk = on_disk.disk
    await on_disk.use_disk(tmp_path, 64_000_000, 10)
    assert on_disk.disk is disk
    await on_disk.use_disk(tmp_path / "other", 64_000_000, 10)
    assert on_disk.disk is not disk
    on_disk.whole(entry(), NOW)
    await there(on_disk, KEY)
    await on_disk.leave_disk()
    assert on_disk.below(KEY, {}) is None
