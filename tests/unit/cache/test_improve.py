"""Better copies of what is kept: whose turn it is, what takes whose place, and what keeps it from doing so."""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from edgeproxy.cache import improve
from edgeproxy.cache.answer import HIT, from_entry
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.improve import Improver, Settings
from edgeproxy.cache.purge import named
from edgeproxy.cache.tiers import Tiers
from edgeproxy.clock import ManualClock
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Request
from edgeproxy.observe.metrics import Metrics
from edgeproxy.pipeline.improvement import Better, Improvement
from tests.support.waiting import eventually

HOST = b"http://www.example.com/"
BODY = b"quick" * 1000
BETTER = Better(b"small", {b"content-encoding": b"br", b"x-quick": b""})
FIELDS = {b"etag": b'W/"1"', b"content-encoding": b"zstd", b"x-quick": b"1", b"cache-control": b"max-age=60"}

Make = Callable[..., Entry]


class Smaller(Improvement):
    """Makes it when it may (``go``), notes that it was asked, and raises or gives what it is told to."""

    def __init__(
        self, better: Better | None = BETTER, error: BaseException | None = None, seconds: float = 0.0
    ) -> None:
        self.better = better
        self.error = error
        self.seconds = seconds
        self.asked: list[tuple[bytes, Headers]] = []
        self.go = threading.Event()
        self.go.set()

    async def prepare(self, body: bytes, headers: Headers) -> Callable[[], Better | None] | None:
        self.asked.append((body, headers))
        return self.make

    def make(self) -> Better | None:
        self.go.wait(5)
        until = time.thread_time() + self.seconds
        while time.thread_time() < until:
            pass
        if self.error is not None:
            raise self.error
        return self.better


class Node:
    """One worker's tiers, with its improver."""

    def __init__(self, clock: ManualClock, metrics: Metrics) -> None:
        self.clock = clock
        self.metrics = metrics
        self.tiers = Tiers(1_000_000, clock, metrics)

    @property
    def improver(self) -> Improver:
        assert self.tiers.improver is not None
        return self.tiers.improver

    def keep(self, entry: Entry, improvement: Improvement | None, hits: int = 2) -> Entry:
        """Store it as a fetch does, and ask for it so often."""
        began = self.clock.wall()
        self.tiers.put(entry, began)
        self.tiers.whole(entry, began, None, improvement)
        entry.hits = hits
        return entry

    async def turn(self) -> None:
        """Give all their turns that may have one now."""
        self.improver.look()
        await eventually(lambda: "working" not in repr(self.improver))

    def outcomes(self) -> dict[str, float]:
        family = self.metrics.counter("edgeproxy_improved_total", "", ("outcome",)).dump()
        return {labels[0]: numbers[0] for labels, numbers in family["series"]}


@pytest.fixture
async def node() -> AsyncIterator[Node]:
    node = Node(ManualClock(), Metrics())
    await node.tiers.use_improver(Settings(share=1.0))
    yield node
    await node.tiers.close()


@pytest.fixture
async def disk_node(tmp_path: Path) -> AsyncIterator[Node]:
    """With an L2 that other workers write into too."""
    node = Node(ManualClock(), Metrics())
    await node.tiers.use_disk(tmp_path, 32_000_000, 1_000_000)
    await node.tiers.use_improver(Settings(share=1.0, shared=True))
    yield node
    await node.tiers.close()


def on_disk(node: Node) -> bytes | None:
    """The body L2 has for the usual key."""
    assert node.tiers.disk is not None
    found = node.tiers.disk.get(HOST, {})
    return None if found is None else found.body


def evict(node: Node, make: Make) -> None:
    """Have L1 give up everything that nobody asked for again, to make room."""
    for resource in node.tiers.memory.resources.values():
        for kept in resource.variants.values():
            kept.hits = 0
    node.tiers.memory.put(make(key=b"http://a.test/", body=bytes(980_000)))


async def test_a_better_copy_takes_the_place_of_what_is_kept(node: Node, entry: Make) -> None:
    how = Smaller()
    kept = node.keep(entry(FIELDS, BODY, vary=(b"accept-encoding",), variant=b"br"), how, hits=5)
    reading = from_entry(kept, Request(b"GET", b"/", {}), node.clock.wall(), HIT)
    base, fresh = kept.base, kept.fresh_until
    await node.turn()
    assert node.tiers.memory.resources[HOST].variants == {b"br": kept}
    assert (kept.body, kept.hits, kept.base, kept.fresh_until) == (b"small", 5, base, fresh)
    assert kept.fields.fields == {
        b"etag": b'W/"1"',
        b"content-encoding": b"br",
        b"cache-control": b"max-age=60",
    }
    assert how.asked == [(BODY, FIELDS)]
    assert reading.body == BODY  # whoever reads the old one goes on
    assert reading.get(b"content-encoding") == b"zstd"
    like = entry(kept.told, b"small", vary=(b"accept-encoding",), variant=b"br")
    assert node.tiers.memory.size == kept.size == like.size
    assert node.outcomes() == {"better": 1}
    assert node.metrics.counter("edgeproxy_improved_bytes_total", "").value() == len(BODY) - len(b"small")
    assert repr(node.improver) == "<Improver idle, 0 candidates, 0 borrowed>"


async def test_the_most_asked_for_comes_first_and_what_nobody_asks_for_costs_nothing(node: Node, entry: Make) -> None:
    order: list[bytes] = []

    class Noted(Smaller):
        async def prepare(self, body: bytes, headers: Headers) -> Callable[[], Better | None] | None:
            order.append(body)
            return None

    for name, hits in ((b"some", 3), (b"most", 9), (b"least", 2), (b"none", 1)):
        node.keep(entry(key=HOST + name, body=name), Noted(), hits)
    await node.turn()
    assert order == [b"most", b"some", b"least"]
    assert node.outcomes() == {"as_good": 3}
    assert "1 candidates" in repr(node.improver)


async def test_what_becomes_asked_for_is_noticed(node: Node, entry: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(improve, "LOOK_EVERY", 0.02)
    kept = node.keep(entry(body=BODY), Smaller(), hits=0)
    kept.hits += 2
    await eventually(lambda: kept.body == b"small")
    await eventually(lambda: "idle" in repr(node.improver))  # and then nobody looks any more


async def test_it_takes_its_share_of_one_core_and_no_more(node: Node, entry: Make) -> None:
    await node.tiers.use_improver(Settings(share=0.1))
    for name in (b"a", b"b"):
        node.keep(entry(key=HOST + name, body=BODY), Smaller(seconds=0.02))
    await node.turn()
    spent = node.metrics.counter("edgeproxy_improving_seconds_total", "").value()
    assert 0.02 <= spent < 0.2
    node.clock.advance(9 * spent - 0.001)
    await node.turn()
    assert node.outcomes() == {"better": 1}
    node.clock.advance(0.002)
    await node.turn()
    assert node.outcomes() == {"better": 2}


async def test_what_another_process_made_counts_by_the_time_it_took(node: Node, entry: Make) -> None:
    class Elsewhere(Improvement):
        async def prepare(self, body: bytes, headers: Headers) -> Better:
            node.clock.advance(2.0)
            return BETTER

    await node.tiers.use_improver(Settings(share=0.5))
    kept, other = (node.keep(entry(key=HOST + name, body=BODY), Elsewhere()) for name in (b"a", b"b"))
    await node.turn()
    assert (kept.body, other.body) == (b"small", BODY)
    node.clock.advance(1.9)
    await node.turn()
    assert other.body == BODY
    node.clock.advance(0.2)
    await node.turn()
    assert other.body == b"small"


@pytest.mark.parametrize("name", ["prepare", "make"])
async def test_what_fails_is_said_once_and_not_tried_again(
    name: str, node: Node, entry: Make, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail(*_: object) -> None:
        raise ValueError("http://www.example.com/?token=secret")

    how = Smaller()
    monkeypatch.setattr(how, name, fail)
    entries = [node.keep(entry(key=HOST + b"%d" % number, body=BODY), how) for number in range(3)]
    with caplog.at_level(logging.WARNING):
        await node.turn()
        await node.turn()
    assert node.outcomes() == {"failed": 3}
    assert {kept.body for kept in entries} == {BODY}
    assert [record.getMessage().rpartition(" (")[2] for record in caplog.records] == ["Smaller: ValueError)"]
    assert "secret" not in caplog.text
    node.clock.advance(improve.COMPLAIN_EVERY)
    node.keep(entry(body=BODY, lifetime=600.0), how)
    await node.turn()
    assert len(caplog.records) == 2


async def test_what_takes_too_long_to_prepare_is_given_up(
    node: Node, entry: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Never(Improvement):
        async def prepare(self, body: bytes, headers: Headers) -> None:
            await asyncio.Event().wait()

    monkeypatch.setattr(improve, "PREPARED_WITHIN", 0.02)
    node.keep(entry(body=BODY), Never())
    await node.turn()
    assert node.outcomes() == {"failed": 1}


@pytest.mark.parametrize(
    "event",
    [
        lambda node, make: node.tiers.purge(named("all", "", node.clock.wall())),
        lambda node, make: node.tiers.invalidate(HOST),
        lambda node, make: node.keep(make(body=b"new"), None),
        evict,
    ],
    ids=["purged", "changed", "replaced", "evicted"],
)
@pytest.mark.parametrize("when", ["waiting", "making"])
async def test_what_is_gone_meanwhile_stays_gone(
    when: str, event: Callable[[Node, Make], object], disk_node: Node, entry: Make
) -> None:
    node, how = disk_node, Smaller()
    kept = node.keep(entry(body=bytes(50_000)), how)
    if when == "making":
        how.go.clear()
        node.improver.look()
        await eventually(lambda: bool(how.asked))
    node.clock.advance(1)
    event(node, entry)
    present = node.tiers.memory.get(HOST, {})
    assert "0 candidates" in repr(node.improver)
    how.go.set()
    await node.turn()
    await node.tiers.purged()
    assert kept.body != b"small"
    assert node.tiers.memory.get(HOST, {}) is present
    assert node.outcomes() == ({"gone": 1} if when == "making" else {})
    assert on_disk(node) != b"small"


async def test_a_soft_purge_leaves_it_stale_in_every_tier(disk_node: Node, entry: Make, tmp_path: Path) -> None:
    node, how = disk_node, Smaller()
    kept = node.keep(entry(FIELDS, BODY), how)
    await eventually(lambda: on_disk(node) == BODY)
    how.go.clear()
    node.improver.look()
    await eventually(lambda: bool(how.asked))
    node.clock.advance(7)
    node.tiers.purge(named("all", "", node.clock.wall(), soft=True))
    await node.tiers.purged()
    how.go.set()
    await node.turn()
    assert kept.body == b"small"
    assert kept.fresh_until == node.clock.wall()
    assert kept.fields.fields[b"cache-control"] == b"max-age=7"
    assert kept.told[b"cache-control"] == b"max-age=60"
    assert node.tiers.memory.size == kept.size
    await node.tiers.leave_disk()
    await node.tiers.use_disk(tmp_path, 32_000_000, 1_000_000)
    assert node.tiers.disk is not None
    found = node.tiers.disk.get(HOST, {})
    assert found is not None
    assert found.fresh_until == kept.fresh_until


async def test_what_is_stale_waits_until_it_is_known_to_hold(disk_node: Node, entry: Make) -> None:
    """A 304 renews the entry, and what is made then is as new: L2 takes it over what the 304 made it write."""
    node = disk_node
    kept = node.keep(entry(FIELDS, BODY), Smaller())
    node.clock.advance(61)
    await node.turn()
    assert kept.body == BODY
    node.tiers.memory.grow(kept, kept.renew(kept.told, kept.terms, node.clock.wall()))
    node.tiers.whole(kept, node.clock.wall())
    await node.turn()
    assert kept.body == b"small"
    await eventually(lambda: on_disk(node) == b"small")


async def test_the_better_copy_is_what_l2_gives_back(disk_node: Node, entry: Make) -> None:
    node = disk_node
    kept = node.keep(entry(FIELDS, BODY, tags=(b"t",)), Smaller())
    await node.turn()
    await eventually(lambda: on_disk(node) == b"small")
    node.tiers.memory.drop(kept)
    found = node.tiers.below(HOST, {})
    assert found is not None
    assert (found.body, found.told, found.tags) == (b"small", kept.told, (b"t",))
    assert abs(found.base - kept.base) < 0.001


async def test_a_purge_long_forgotten_does_not_keep_it_out_of_l2(disk_node: Node, entry: Make) -> None:
    """That it is still in L1 says that none was about it."""
    node = disk_node
    node.keep(entry(FIELDS, BODY, lifetime=6000.0), Smaller())
    for _ in range(2):
        node.clock.advance(601)
        node.tiers.purge(named("url", "http://www.example.com/other", node.clock.wall()))
    await node.turn()
    await eventually(lambda: on_disk(node) == b"small")


async def test_what_another_worker_has_made_is_adopted(disk_node: Node, entry: Make) -> None:
    node, how = disk_node, Smaller()
    kept = node.keep(entry(FIELDS, BODY), how, hits=7)
    theirs = entry(FIELDS | {b"content-encoding": b"br"}, b"theirs")
    assert node.tiers.disk is not None
    node.tiers.disk.put(theirs, node.clock.wall())
    await eventually(lambda: on_disk(node) == b"theirs")
    await node.turn()
    found = node.tiers.memory.get(HOST, {})
    assert found is not None
    assert found is not kept
    assert (found.body, found.hits, found.told) == (b"theirs", 7, theirs.told)
    assert not how.asked
    assert node.outcomes() == {"adopted": 1}


async def test_a_copy_from_l2_is_looked_up_again_while_it_is_asked_for(disk_node: Node, entry: Make) -> None:
    """What another worker fetched, it makes better; nobody tells this one."""
    node = disk_node
    assert node.tiers.disk is not None
    node.tiers.disk.put(entry(FIELDS, BODY, lifetime=900.0), node.clock.wall())
    await eventually(lambda: on_disk(node) == BODY)
    mine = node.tiers.below(HOST, {})
    assert mine is not None
    await node.turn()
    mine.hits = 2
    await node.turn()
    node.tiers.disk.put(entry(FIELDS, b"theirs", lifetime=900.0), node.clock.wall())
    await eventually(lambda: on_disk(node) == b"theirs")
    await node.turn()
    assert node.tiers.memory.get(HOST, {}) is mine  # not looked up again so soon
    node.clock.advance(improve.LOOKS[1])
    await node.turn()
    found = node.tiers.memory.get(HOST, {})
    assert found is not None
    assert found.body == b"theirs"
    assert repr(node.improver) == "<Improver idle, 0 candidates, 0 borrowed>"


async def test_after_some_looks_into_l2_it_is_left_alone(disk_node: Node, entry: Make) -> None:
    node = disk_node
    assert node.tiers.disk is not None
    node.tiers.disk.put(entry(FIELDS, BODY, lifetime=90_000.0), node.clock.wall())
    await eventually(lambda: on_disk(node) == BODY)
    mine = node.tiers.below(HOST, {})
    assert mine is not None
    mine.hits = 2
    for pause in improve.LOOKS:
        assert "1 borrowed" in repr(node.improver)
        node.clock.advance(pause)
        await node.turn()
    assert "idle" in repr(node.improver)


async def test_what_goes_stale_here_is_first_looked_up_where_it_may_be_better(disk_node: Node, entry: Make) -> None:
    """Or a 304 would have the old body written over the better one."""
    node = disk_node
    mine = node.keep(entry(FIELDS, BODY), None)
    assert node.tiers.disk is not None
    await eventually(lambda: on_disk(node) == BODY)
    node.clock.advance(61)
    assert node.tiers.newer(mine, {}) is None
    node.tiers.disk.put(entry(FIELDS, b"theirs"), node.clock.wall())
    await eventually(lambda: on_disk(node) == b"theirs")
    found = node.tiers.newer(mine, {})
    assert found is not None
    assert (found.body, node.tiers.memory.get(HOST, {})) == (b"theirs", found)


@pytest.mark.parametrize(
    ("other", "why"),
    [
        ({"body": b"other" * 2000}, "it is larger"),
        ({"body": b"other", "status": 404}, "it is another answer"),
        ({"body": b"other", "initial_age": 9.0}, "it is older"),
        ({"body": b"other", "lifetime": -1.0}, "it is stale"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_what_is_no_better_copy_of_it_is_not_adopted(
    other: dict[str, object], why: str, disk_node: Node, entry: Make
) -> None:
    node, how = disk_node, Smaller()
    kept = node.keep(entry(FIELDS, BODY), how)
    theirs = entry(FIELDS, **other)
    assert node.tiers.disk is not None
    node.tiers.disk.put(theirs, node.clock.wall())
    await eventually(lambda: on_disk(node) == theirs.body)
    await node.turn()
    assert node.tiers.memory.get(HOST, {}) is kept, why
    assert kept.body == b"small"


async def test_a_strong_tag_is_not_given_to_other_bytes(node: Node, entry: Make) -> None:
    kept = node.keep(entry({b"etag": b'"1"', b"last-modified": b"x"}, BODY), Smaller(Better(b"small", {})))
    named_anew = Smaller(Better(b"small", {b"etag": b'"2"'}))
    other = node.keep(entry({b"etag": b'"1"'}, BODY, key=HOST + b"2"), named_anew)
    await node.turn()
    assert (kept.etag, kept.not_modified.fields[b"etag"]) == (b'W/"1"', b'W/"1"')
    assert other.etag == b'"2"'


async def test_who_waits_and_what_is_improved_have_bounds(node: Node, entry: Make) -> None:
    await node.tiers.use_improver(Settings(share=1.0, candidates=3, largest=100))
    for number, hits in enumerate((1, 0, 1, 1, 1)):
        node.keep(entry(key=HOST + b"%d" % number), Smaller(), hits)
    node.keep(entry(key=HOST + b"large", body=bytes(101)), Smaller())
    node.keep(entry(key=HOST + b"empty", body=b""), Smaller())
    assert "3 candidates" in repr(node.improver)
    assert node.outcomes() == {"no_room": 2}
    await node.tiers.use_improver(Settings(candidates=1))
    assert "1 candidates" in repr(node.improver)


async def test_what_l1_does_not_have_is_left_alone(node: Node, entry: Make) -> None:
    node.tiers.whole(entry(body=BODY), node.clock.wall(), None, Smaller())
    assert repr(node.improver) == "<Improver idle, 0 candidates, 0 borrowed>"


async def test_without_it_nothing_is_improved_and_the_end_is_quick(
    node: Node, entry: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(improve, "CLOSED_WITHIN", 0.05)
    how = Smaller()
    how.go.clear()
    kept = node.keep(entry(body=BODY), how)
    node.improver.look()
    await eventually(lambda: bool(how.asked))
    begun = time.monotonic()
    await node.tiers.use_improver(None)
    assert time.monotonic() - begun < 1.0
    how.go.set()
    node.keep(entry(key=HOST + b"2", body=BODY), how)
    assert (node.tiers.improver, node.tiers.memory.dropped) == (None, None)
    assert kept.body == BODY


async def test_nothing_is_kept_of_what_was_dropped(node: Node, entry: Make) -> None:
    """Whatever L1 evicts frees its memory at once."""
    for number in range(100):
        node.keep(entry(key=HOST + b"%d" % number, body=bytes(100_000)), Smaller())
    assert len(node.tiers.memory) < 10
    assert f"{len(node.tiers.memory)} candidates" in repr(node.improver)
