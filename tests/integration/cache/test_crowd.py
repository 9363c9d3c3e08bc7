"""A thousand clients on one cold key in front of a slow origin: one request, and the first byte to all at once.

Guarantee 4 has who may join whom; here it is how long that takes, and how many workers make how many requests.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from typing import NamedTuple

import pytest

from tests.integration.guarantees.crowd import Got, Line, all_at_once
from tests.support.origin import RecordedRequest, answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

CLIENTS = 1000
STORABLE = b"Cache-Control: max-age=600"
BOUND = 0.05  # seconds from the origin's first byte to the last client's, on a machine that has nothing else to do


class Gate:
    """Holds the origin's answers back until they are let go; ``opened`` is when the first of them went, in monotonic
    seconds: the origin's first byte."""

    def __init__(self) -> None:
        self._open = threading.Event()
        self.opened = 0.0

    def open(self) -> None:
        self._open.set()

    def wait(self) -> None:
        assert self._open.wait(30), "nobody opened the gate"
        self.opened = self.opened or time.monotonic()


class Arrival(NamedTuple):
    """One client's answer, and when its first byte was here."""

    got: Got
    first: float


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


def _edge(site: Site, workers: int) -> EdgeProcess:
    stages = {"rate_limit": False, "bot_check": False, "compression": False}
    limits = {"connections_per_client": 5000}
    return EdgeProcess(
        config(site.url, workers=workers, middleware=stages, limits=limits, log={"access": False}),
    )


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    with _edge(site, 1) as edge:
        yield edge


@pytest.fixture(scope="module")
def pair(site: Site) -> Iterator[EdgeProcess]:
    """Two workers, each with a memory of its own."""
    with _edge(site, 2) as edge:
        yield edge


@pytest.fixture
def gate(site: Site, request: pytest.FixtureRequest) -> Iterator[Gate]:
    gate = Gate()
    yield gate
    gate.open()


def _gated(site: Site, gate: Gate, target: bytes, make: Callable[[RecordedRequest], bytes]) -> bytes:
    """Answer a target when the gate opens."""

    def wait(asked: RecordedRequest) -> Iterator[bytes]:
        gate.wait()
        yield make(asked)

    return site.on(target, wait)


@asynccontextmanager
async def _connected(edge: EdgeProcess, count: int) -> AsyncIterator[list[Line]]:
    """So many clients, all of them connected: what is measured is no handshake."""
    lines = [Line(edge.address) for _ in range(count)]
    await all_at_once([line.__aenter__() for line in lines])
    try:
        yield lines
    finally:
        await asyncio.gather(*(line.__aexit__() for line in lines), return_exceptions=True)


async def _arrive(line: Line) -> Arrival:
    """The next answer; the first byte is there when the reader has it, before anybody parses."""
    while not line.reader._buffer and not line.reader.at_eof():
        await line.reader._wait_for_data("first")
    first = time.monotonic()
    return Arrival(await line.answer(), first)


async def _ask(lines: list[Line], wires: list[bytes]) -> list[asyncio.Task[Arrival]]:
    tasks = [asyncio.create_task(_arrive(line)) for line in lines]
    for line, wire in zip(lines, wires, strict=True):
        line.writer.write(wire)
    return tasks


async def _read(edge: EdgeProcess, requests: int) -> None:
    """Wait until the workers have read so many requests: they answer the bus after what their sockets had before."""

    def waiting() -> bool:
        edge.admin("/metrics")
        return _metric(edge, "edgeproxy_connections") >= requests

    await asyncio.to_thread(wait_until, waiting, "all are connected", 30)
    for _ in range(3):
        await asyncio.to_thread(edge.admin, "/metrics")


def _metric(edge: EdgeProcess, name: str) -> float:
    lines = edge.admin("/metrics")[1].decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.split("{")[0].split(" ")[0] == name)


class Spread(NamedTuple):
    """Seconds until the first byte was at the first, the middle and the last of the clients."""

    first: float
    middle: float
    last: float

    @classmethod
    def of(cls, arrivals: list[Arrival], since: float) -> Spread:
        waits = sorted(arrival.first - since for arrival in arrivals)
        return cls(waits[0], waits[len(waits) // 2], waits[-1])


async def _cold(edge: EdgeProcess, site: Site, gate: Gate, target: bytes) -> tuple[list[Arrival], Spread]:
    """A thousand at once, all of them waiting when the origin begins to answer."""
    _gated(site, gate, target, lambda _: answer(200, b"x" * 1000, STORABLE))
    async with _connected(edge, CLIENTS) as lines:
        tasks = await _ask(lines, [request(target)] * CLIENTS)
        await _read(edge, CLIENTS)
        gate.open()
        arrivals = await all_at_once(tasks, 60)
    return arrivals, Spread.of(arrivals, gate.opened)


async def _warm(edge: EdgeProcess, target: bytes) -> Spread:
    """The same thousand on what is stored: what this machine and these clients take by themselves."""
    async with _connected(edge, CLIENTS) as lines:
        began = time.monotonic()
        return Spread.of(await all_at_once(await _ask(lines, [request(target)] * CLIENTS), 60), began)


async def test_a_thousand_on_a_cold_key_are_one_request_and_none_waits_longer_than_for_a_hit(
    edge: EdgeProcess, site: Site, gate: Gate
) -> None:
    arrivals, cold = await _cold(edge, site, gate, b"/cold")
    assert len(site.to(b"/cold")) == 1
    assert {arrival.got.body for arrival in arrivals} == {b"x" * 1000}
    assert Counter(b"collapsed" in arrival.got.fields[b"cache-status"] for arrival in arrivals)[False] == 1
    warm = await _warm(edge, b"/cold")
    assert cold.last < max(BOUND, 4 * warm.last), (cold, warm)


async def test_two_workers_make_two_requests_at_most(pair: EdgeProcess, site: Site, gate: Gate) -> None:
    arrivals, _ = await _cold(pair, site, gate, b"/cold-for-two")
    assert len(site.to(b"/cold-for-two")) <= 2
    assert {arrival.got.status for arrival in arrivals} == {200}


async def test_of_a_thousand_the_leader_leaves_and_the_others_are_answered(
    edge: EdgeProcess, site: Site, gate: Gate
) -> None:
    target = _gated(site, gate, b"/left", lambda _: answer(200, b"here", STORABLE))
    async with _connected(edge, CLIENTS) as (leader, *others):
        leader.writer.write(request(target))
        await asyncio.to_thread(wait_until, lambda: len(site.to(target)) == 1, "the leader's fetch is under way")
        tasks = await _ask(others, [request(target)] * len(others))
        await _read(edge, CLIENTS)
        leader.leave()
        gone = lambda: _metric(edge, "edgeproxy_connections") < CLIENTS  # noqa: E731 -- a condition in one line
        await asyncio.to_thread(wait_until, gone, "the leader is gone")
        gate.open()
        assert {arrival.got.body for arrival in await all_at_once(tasks, 60)} == {b"here"}
    assert len(site.to(target)) == 1


async def test_an_answer_for_one_alone_lets_the_others_go_at_once(edge: EdgeProcess, site: Site, gate: Gate) -> None:
    """The first of them learns that it may not be shared; the others are then asked for side by side: each of them
    waits for the origin twice at most, not for all before it."""
    count, takes = 100, 0.5
    first = threading.Event()

    def slow(asked: RecordedRequest) -> Iterator[bytes]:
        if first.is_set():
            threading.Event().wait(takes)
        else:
            first.set()
            gate.wait()
        yield answer(200, asked.get(b"x-who") or b"", b"Cache-Control: private")

    site.on(b"/private", slow)
    async with _connected(edge, count) as lines:
        tasks = await _ask(lines, [request(b"/private", b"X-Who: %d" % number) for number in range(count)])
        await _read(edge, count)
        assert len(site.to(b"/private")) == 1
        gate.open()
        arrivals = await all_at_once(tasks, 30)
    assert [arrival.got.body for arrival in arrivals] == [b"%d" % number for number in range(count)]
    assert Spread.of(arrivals, gate.opened).last < 5 * takes


@pytest.mark.bench
async def test_how_long_a_thousand_wait(edge: EdgeProcess, site: Site) -> None:
    """Prints the figures: ``pytest -s -m bench`` on this file. On a machine with nothing else to do they have to be
    within the bound."""
    figures = []
    for number in range(5):
        gate = Gate()
        _, cold = await _cold(edge, site, gate, b"/bench/%d" % number)
        warm = await _warm(edge, b"/bench/%d" % number)
        figures.append({"cold": cold._asdict(), "warm": warm._asdict()})
        print(f"cold {1e3 * cold.first:.1f} {1e3 * cold.middle:.1f} {1e3 * cold.last:.1f} ms", end=", ")
        print(f"warm {1e3 * warm.first:.1f} {1e3 * warm.middle:.1f} {1e3 * warm.last:.1f} ms (first, middle, last)")
    best = min(figures, key=lambda one: one["cold"]["last"])
    assert best["cold"]["last"] < BOUND, json.dumps(figures)
