"""The tiers of a worker: purges reach what is stored and what is under way; fetches end with the worker."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from edgeproxy.cache.collapse import Flight
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.tiers import PARTITION_LIMIT, Tiers
from tests.support.stages import services

KEY = b"http://www.example.com/"


@pytest.fixture
def tiers() -> Tiers:
    return services().cache


def test_a_purge_forgets_every_variant_and_what_is_under_way(tiers: Tiers, entry: Callable[..., Entry]) -> None:
    for variant in (b"gzip", b"br"):
        tiers.memory.put(entry(vary=(b"accept-encoding",), variant=variant))
    tiers.memory.put(entry(key=b"http://www.example.com/other"))
    flight = Flight()
    tiers.flights.add(KEY, b"gzip", flight)
    tiers.passing.add(KEY)
    assert tiers.purge("HTTP://WWW.example.com:80") == 2
    assert flight.purged
    assert KEY not in tiers.passing
    assert list(tiers.memory.resources) == [b"http://www.example.com/other"]
    assert tiers.purge("http://www.example.com/") == 0


def test_what_is_no_url_purges_nothing(tiers: Tiers) -> None:
    with pytest.raises(ValueError, match="absolute"):
        tiers.purge("/")


def test_a_purge_reaches_every_partition(tiers: Tiers, entry: Callable[..., Entry]) -> None:
    flight = Flight()
    for partition in (b"beta", b"canary"):
        tiers.open(partition)
        tiers.memory.put(entry(key=KEY + b"#" + partition))
        tiers.passing.add(KEY + b"#" + partition)
    tiers.memory.put(entry())
    tiers.flights.add(KEY + b"#beta", b"", flight)
    assert tiers.purge("http://www.example.com/") == 3
    assert flight.purged
    assert KEY + b"#canary" not in tiers.passing
    assert not tiers.memory.resources


def test_too_many_partitions_are_emptied_and_begin_anew(tiers: Tiers, entry: Callable[..., Entry]) -> None:
    flight = Flight()
    tiers.memory.put(entry())
    for number in range(PARTITION_LIMIT):
        tiers.open(b"r%d" % number)
    tiers.memory.put(entry(key=KEY + b"#r0"))
    tiers.flights.add(KEY + b"#r1", b"", flight)
    tiers.open(b"r0")  # one that is known takes no room
    assert len(tiers.memory) == 2
    tiers.open(b"one more")
    assert flight.purged
    assert list(tiers.memory.resources) == [KEY]
    tiers.memory.put(entry(key=KEY + b"#one more"))
    assert tiers.purge("http://www.example.com/") == 2


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
