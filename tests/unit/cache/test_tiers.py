"""The tiers of a worker: purges reach what is stored and what is under way; fetches end with the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

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
