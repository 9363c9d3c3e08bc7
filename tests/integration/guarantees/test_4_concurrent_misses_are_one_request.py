"""Guarantee 4: N concurrent misses are one origin request.

The leader's death promotes a follower; a client that leaves does not cancel the fill.

Seen to fail: with ``Lookup.fetch`` of cache/lookup.py never joining a flight (every miss asks the origin); with the
leader's flight awaited inside its client's task instead of being spawned (a leader that leaves takes everybody's answer
along); with those who waited for a flight that died, or brought another variant, not looking for the next (a stampede).
"""

from __future__ import annotations

import asyncio
import os
import threading
from collections import Counter
from collections.abc import Callable, Iterator

import pytest

from tests.integration.guarantees.crowd import Got, Line, all_at_once, once
from tests.support.origin import Hang, RecordedRequest, Script, answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

STORABLE = b"Cache-Control: max-age=600"
SIZE = 300_000

STAGE = '''
import asyncio
from pathlib import Path
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig

class Faulty(Middleware):
    """A stage with a fault: it breaks down over some requests as soon as the file they name is there."""

    name = "faulty"
    Config = MiddlewareConfig

    async def fetch(self, x):
        file = x.request.headers.get(b"x-break-at")
        if file is not None:
            while not Path(file.decode()).exists():
                await asyncio.sleep(0.01)
            raise RuntimeError("a fault")
'''


class Gate:
    """An origin's answer that begins only when the test says so."""

    def __init__(self, site: Site, target: bytes) -> None:
        self.target = target
        self._site = site
        self._open = threading.Event()

    @property
    def asked(self) -> int:
        return len(self._site.to(self.target))

    def open(self) -> None:
        self._open.set()

    def wait(self) -> None:
        self._open.wait(15)


@pytest.fixture(scope="module")
def edge(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[EdgeProcess]:
    """One worker, for what it collapses is its own; with a stage of somebody else's installed beside it."""
    folder = tmp_path_factory.mktemp("stage")
    (folder / "faulty.py").write_text(STAGE)
    installed = folder / "faulty-1.dist-info"
    installed.mkdir()
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: faulty\nVersion: 1\n")
    (installed / "entry_points.txt").write_text("[edgeproxy.middleware]\nfaulty = faulty:Faulty\n")
    whole = config(
        site.url,
        middleware={"faulty": True, "compression": False},
        limits={"connections_per_client": 5000},
        log={"access": False},
    )
    path = os.pathsep.join(filter(None, (str(folder), os.environ.get("PYTHONPATH"))))
    with EdgeProcess(whole, environment={**os.environ, "PYTHONPATH": path}) as edge:
        yield edge


@pytest.fixture
def gate(site: Site, request: pytest.FixtureRequest) -> Iterator[Gate]:
    gate = Gate(site, b"/" + request.node.name.encode())
    yield gate
    gate.open()


def gated(gate: Gate, whole: bytes) -> Iterator[bytes]:
    """The head and half of the body at once when the gate opens, then the rest."""
    gate.wait()
    yield whole


async def crowd(edge: EdgeProcess, wires: list[bytes]) -> list[asyncio.Task[Got]]:
    """A client for each request, all of them on their way."""
    return [asyncio.create_task(once(edge.address, wire)) for wire in wires]


async def waiting(edge: EdgeProcess, metric: Callable[..., float], count: int) -> None:
    """Wait until so many connections stand at the proxy and all they sent has been read."""
    await asyncio.to_thread(wait_until, lambda: metric(edge, "edgeproxy_connections") >= count, "all are connected")
    # The worker answers the bus after what its sockets had before: twice round its loop.
    for _ in range(2):
        await asyncio.to_thread(edge.admin, "/metrics")


@pytest.mark.parametrize("clients", [200, 1000])
async def test_a_crowd_on_a_cold_key_is_one_request(edge, site, gate, metric, clients):
    body = os.urandom(SIZE if clients == 200 else 1000)
    site.on(gate.target, lambda _: gated(gate, answer(200, body, STORABLE)))
    tasks = await crowd(edge, [request(gate.target)] * clients)
    await waiting(edge, metric, clients)
    gate.open()
    answers = await all_at_once(tasks)
    assert all(got.status == 200 and got.body == body for got in answers)
    assert gate.asked == 1
    verdicts = Counter(b"collapsed" in got.fields[b"cache-status"] for got in answers)
    assert verdicts == {True: clients - 1, False: 1}


async def test_a_crowd_that_reads_different_variants_is_one_request_for_each(edge, site, gate, metric):
    def localised(asked: RecordedRequest) -> Iterator[bytes]:
        language = asked.get(b"accept-language") or b"none"
        return gated(gate, answer(200, language, STORABLE, b"Vary: Accept-Language"))

    site.on(gate.target, localised)
    languages = [b"en", b"de", b"ja", b"fi"] * 50
    tasks = await crowd(edge, [request(gate.target, b"Accept-Language: " + each) for each in languages])
    await waiting(edge, metric, len(languages))
    gate.open()
    answers = await all_at_once(tasks)
    assert [got.body for got in answers] == languages
    assert gate.asked == 4


async def test_a_crowd_on_what_is_nobody_elses_does_not_queue_up(edge, site, gate, metric):
    """What may not be shared is asked for by each on its own, all at the same time."""
    together = threading.Barrier(20, timeout=10)

    def private(asked: RecordedRequest) -> Iterator[bytes]:
        if asked is not site.to(gate.target)[0]:
            together.wait()
        yield answer(200, asked.get(b"x-user") or b"", b"Cache-Control: private")

    site.on(gate.target, private)
    tasks = await crowd(edge, [request(gate.target, b"X-User: %d" % number) for number in range(21)])
    assert [got.body for got in await all_at_once(tasks)] == [b"%d" % number for number in range(21)]


async def test_the_leaders_client_leaving_disturbs_nobody(edge, site, gate, metric):
    body = os.urandom(SIZE)
    site.on(gate.target, lambda _: gated(gate, answer(200, body, STORABLE)))
    async with Line(edge.address) as leader:
        leader.writer.write(request(gate.target))
        await asyncio.to_thread(wait_until, lambda: gate.asked == 1, "the leader's fetch is under way")
        tasks = await crowd(edge, [request(gate.target)] * 50)
        await waiting(edge, metric, 51)
        leader.leave()
        await asyncio.to_thread(wait_until, lambda: metric(edge, "edgeproxy_connections") == 50, "the leader is gone")
        gate.open()
        assert all(got.body == body for got in await all_at_once(tasks))
    assert gate.asked == 1
    assert b"hit" in (await once(edge.address, request(gate.target))).fields[b"cache-status"]


async def test_a_client_that_leaves_within_the_body_does_not_cancel_the_fill(edge, site, gate):
    body = os.urandom(SIZE)

    def halves(_: RecordedRequest) -> Iterator[bytes]:
        whole = answer(200, body, STORABLE)
        yield whole[: SIZE // 2]
        gate.wait()
        yield whole[SIZE // 2 :]

    site.on(gate.target, halves)
    async with Line(edge.address) as only:
        only.writer.write(request(gate.target))
        await only.reader.readexactly(SIZE // 4)
        only.leave()
    gate.open()
    got = await all_at_once([once(edge.address, request(gate.target))])
    assert got[0].body == body
    assert gate.asked == 1


async def test_a_leader_that_breaks_down_promotes_one_follower(edge, site, gate, metric, tmp_path):
    """The fault is the leader's own: the others get their answer, for one request."""
    site.on(gate.target, lambda _: gated(gate, answer(200, b"good", STORABLE)))
    fault = tmp_path / "fault"
    leader = await crowd(edge, [request(gate.target, b"X-Break-At: " + bytes(fault))])
    await waiting(edge, metric, 1)
    followers = await crowd(edge, [request(gate.target)] * 100)
    await waiting(edge, metric, 101)
    assert gate.asked == 0
    fault.touch()
    await asyncio.to_thread(wait_until, lambda: gate.asked >= 1, "a follower asks the origin")
    await waiting(edge, metric, 100)
    gate.open()
    assert {got.body for got in await all_at_once(followers)} == {b"good"}
    assert (await leader[0]).status == 500
    assert gate.asked == 1


async def test_a_fetch_the_origin_breaks_off_is_repeated_once_for_all(edge, site, gate, metric):
    def first_dies(_: RecordedRequest) -> Script:
        if gate.asked == 1:
            gate.wait()
            return Hang.RESET
        return answer(200, b"good", STORABLE)

    site.on(gate.target, first_dies)
    tasks = await crowd(edge, [request(gate.target)] * 100)
    await waiting(edge, metric, 100)
    gate.open()
    assert {got.body for got in await all_at_once(tasks)} == {b"good"}
    assert gate.asked == 2


async def test_an_origin_that_fails_is_not_asked_by_each_of_a_crowd(edge, site, gate, metric):
    def dies(_: RecordedRequest) -> Script:
        gate.wait()
        return Hang.RESET

    site.on(gate.target, dies)
    tasks = await crowd(edge, [request(gate.target)] * 100)
    await waiting(edge, metric, 100)
    gate.open()
    assert {got.status for got in await all_at_once(tasks)} == {502}
    assert gate.asked <= 4  # two tries, each of which may begin on a connection that was kept alive too long
