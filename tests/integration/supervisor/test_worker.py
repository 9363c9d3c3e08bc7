import os
import signal
from pathlib import Path

import pytest

from tests.support.ports import accepts
from tests.support.processes import EdgeProcess


@pytest.fixture
def edge(whole):
    with EdgeProcess(whole(workers=2)) as edge:
        yield edge


def test_a_worker_sent_a_sigterm_ends_its_exchanges_and_is_replaced(edge, slow, get, until):
    client, release = slow(edge)
    old = edge.worker_pids()
    for pid in old:
        os.kill(pid, signal.SIGTERM)
    until(lambda: len(set(edge.worker_pids()) - set(old)) == 1, "the idle worker is replaced")
    release()
    with client:
        assert client.answers(1).final[0].body == b"firstend"
    until(lambda: edge.admin_json("/healthz")["workers"]["ready"] == 2, "both are replaced")
    assert get(edge) == b"ok"


def test_when_the_supervisor_is_killed_workers_end_their_exchanges_and_leave(edge, slow, exists, until):
    client, release = slow(edge)
    workers = edge.worker_pids()
    edge.process.kill()
    edge.process.wait()
    until(lambda: sum(map(exists, workers)) == 1, "the idle worker leaves")
    release()
    with client:
        assert client.answers(1).final[0].body == b"firstend"
    until(lambda: not any(map(exists, workers)), "the busy worker leaves too")
    assert not accepts(edge.port)


def test_a_worker_may_open_as_many_files_as_the_system_lets_it(edge):
    for pid in edge.worker_pids():
        (line,) = [line for line in Path(f"/proc/{pid}/limits").read_text().splitlines() if "open files" in line]
        assert line.split()[3] == line.split()[4]


def test_signals_of_the_terminal_do_not_end_a_worker(edge, get):
    workers = edge.worker_pids()
    for pid in workers:
        for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
            os.kill(pid, number)
    assert get(edge) == b"ok"
    assert edge.worker_pids() == workers


def test_the_memory_limit_of_the_cache_follows_the_configuration(edge, site, whole, storable, get, metric, until):
    site.on(b"/kept", storable)
    get(edge, b"/kept")
    assert metric(edge, "edgeproxy_cache_entries") == 1
    edge.write(whole(workers=2, cache={"memory": 0}))
    edge.reload()
    until(lambda: "configuration reloaded" in edge.logs(), "the reload is said")
    for number in range(20):
        site.on(b"/%d" % number, storable)
        get(edge, b"/%d" % number)
    assert metric(edge, "edgeproxy_cache_entries") <= 1


def test_a_stage_that_needs_outbound_calls_gets_a_session_that_is_closed_with_the_worker(whole):
    middleware = {"jwt": {"jwks_url": "http://127.0.0.1:9/jwks"}}
    with EdgeProcess(whole(middleware=middleware)) as edge:
        assert edge.stop() == 0
        assert "Unclosed" not in edge.logs()
