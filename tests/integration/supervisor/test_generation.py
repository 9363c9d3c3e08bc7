import asyncio
import os
import signal
import threading

import pytest

from edgeproxy.config.units import AddressValue
from edgeproxy.observe.metrics import Metrics
from edgeproxy.supervisor import generation, process
from edgeproxy.supervisor.bus import RefusedError
from edgeproxy.supervisor.folder import SECRET
from edgeproxy.supervisor.generation import Generation
from edgeproxy.supervisor.sockets import Sockets
from edgeproxy.supervisor.totals import Totals
from tests.support.client import RawClient, ask
from tests.support.ports import free_port
from tests.support.processes import EdgeProcess
from tests.support.site import request


@pytest.fixture
def edge(whole):
    with EdgeProcess(whole(workers=2)) as edge:
        yield edge


@pytest.fixture
def other_text():
    """The text of a configuration whose one pool has this name."""

    def text(address, origin, pool):
        return (
            f"pools: {{{pool}: {{endpoints: ['{origin}']}}}}\n"
            f"routes: [{{name: all, pool: {pool}}}]\n"
            f"listeners: [{{address: '{address}'}}]\n"
            "log: {access: off}\n"
        )

    return text


def test_a_killed_worker_comes_back_and_only_its_own_connections_are_lost(edge, until, metric):
    victim, survivor = edge.worker_pids()
    clients = [RawClient(edge.address) for _ in range(24)]
    for client in clients:
        client.send(request())
        assert client.answers(1).final[0].status == 200
    os.kill(victim, signal.SIGKILL)
    # New connections go on being answered: those in the dead worker's queue wait for its successor.
    for _ in range(50):
        assert ask(edge.address, request(b"/", b"Connection: close"), timeout=10).final[0].status == 200
    until(lambda: edge.admin_json("/healthz")["workers"]["ready"] == 2, "the worker is back")
    kept = 0
    for client in clients:
        with client:
            client.send(request())
            answers = client.answers(2).final
            kept += len(answers) == 2
            assert len(answers) == 2 or client.closed
    assert 0 < kept < len(clients)
    assert survivor in edge.worker_pids()
    assert victim not in edge.worker_pids()
    assert metric(edge, "edgeproxy_worker_restarts_total") == 1
    assert "worker ended: SIGKILL" in edge.logs()


def test_counters_are_added_over_workers_and_survive_their_deaths(edge, metric, until):
    def served():
        return metric(edge, "edgeproxy_requests_total", 'route="all"')

    for _ in range(40):
        ask(edge.address, request(b"/", b"Connection: close"))
    assert served() == 40
    per_worker = [pool["pools"]["site"][0]["requests"] for pool in edge.admin_json("/pools")["workers"]]
    assert sum(per_worker) == 40
    assert all(per_worker)
    for pid in edge.worker_pids():
        os.kill(pid, signal.SIGKILL)
        assert served() == 40
    until(lambda: edge.admin_json("/healthz")["workers"]["ready"] == 2, "workers are back")
    ask(edge.address, request(b"/", b"Connection: close"))
    assert served() == 41


def test_a_worker_that_keeps_dying_is_started_ever_more_slowly(edge, until):
    deaths = 0
    while "another one starts in 0.5s" not in edge.logs():
        for pid in edge.worker_pids():
            try:
                os.kill(pid, signal.SIGKILL)
                deaths += 1
            except ProcessLookupError:
                pass
        until(lambda: edge.logs().count("worker ended") >= 1, "the death is said")
        assert deaths < 10_000
    until(lambda: edge.admin_json("/healthz")["workers"]["ready"] == 2, "workers are back", 20)


def test_requests_on_other_connections_succeed_while_workers_are_killed(edge, until):
    failures = []
    stop = threading.Event()

    def load():
        while not stop.is_set():
            answers = ask(edge.address, request(b"/", b"Connection: close"), timeout=15).final
            if not answers or answers[0].status != 200:
                failures.append(answers)

    threads = [threading.Thread(target=load) for _ in range(2)]
    for thread in threads:
        thread.start()
    try:
        for _ in range(2):
            os.kill(edge.worker_pids()[0], signal.SIGKILL)
            until(lambda: edge.admin_json("/healthz")["workers"]["ready"] == 2, "the worker is back")
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    # A connection that the killed worker had accepted is lost with it; there was one a thread and a kill at most.
    assert len(failures) <= 4


def shared(folder):
    """A folder as a supervisor makes it for its workers."""
    (folder / SECRET).write_bytes(bytes(32))
    return folder


async def unchanged(*_):
    """Nobody asks these workers for anything."""


async def test_a_worker_that_hangs_at_a_reload_is_replaced_by_one_that_starts_with_it(
    site, other_text, until, monkeypatch, tmp_path
):
    monkeypatch.setattr(generation, "RELOAD_WITHIN", 1.0)
    monkeypatch.setattr(process, "DRAIN_MARGIN", 0.5)
    address = AddressValue("127.0.0.1", free_port())
    sockets = Sockets()
    sockets.provide([address], 2)
    workers = Generation(
        other_text(address, site.url, "before"),
        "e.yaml",
        [sockets.lend([address], number) for number in range(2)],
        shared(tmp_path),
        Totals(),
        Metrics(),
        unchanged,
    )
    try:
        await workers.start()
        first, second = (worker.pid for worker in workers.workers)
        os.kill(second, signal.SIGSTOP)
        await workers.reload(other_text(address, site.url, "after"), grace=0)
        replaced = asyncio.to_thread(
            until,
            lambda: second not in [worker.pid for worker in workers.workers] and workers.ready == 2,
            "the successor",
        )
        await replaced
        for worker, dump in await workers.ask("pools"):
            assert list(dump) == ["after"], worker
        assert first in [worker.pid for worker in workers.workers]
    finally:
        await workers.kill()
        sockets.close()


async def test_when_one_worker_cannot_start_none_is_left(site, other_text, tmp_path):
    address = AddressValue("127.0.0.1", free_port())
    sockets = Sockets()
    sockets.provide([address], 2)
    text = other_text(address, site.url, "site").replace("site", "sight", 1)
    lent = [sockets.lend([address], number) for number in range(2)]
    workers = Generation(text, "e.yaml", lent, shared(tmp_path), Totals(), Metrics(), unchanged)
    try:
        with pytest.raises(RefusedError, match=r"e\.yaml:\d+:\d+: "):
            await workers.start()
        assert workers.workers == []
    finally:
        sockets.close()
