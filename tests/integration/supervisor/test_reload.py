import os
import signal

import pytest

from tests.support.client import RawClient, ask
from tests.support.origin import answer
from tests.support.ports import free_port
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request


@pytest.fixture
def other():
    """Another site, which says so."""
    with Site() as other:
        other.on(b"/", answer(200, b"other", b"Cache-Control: no-store"))
        yield other


@pytest.fixture
def edge(whole):
    with EdgeProcess(whole(workers=2)) as edge:
        yield edge


def test_sighup_swaps_the_routes_and_cuts_no_connection(edge, other, get, until):
    with RawClient(edge.address) as client:
        client.send(request())
        assert client.answers(1).final[0].body == b"ok"
        workers = edge.worker_pids()
        edge.write(config(other.url, workers=2))
        edge.reload()
        until(lambda: get(edge) == b"other", "the new route is served")
        until(lambda: "configuration reloaded" in edge.logs(), "the reload is said")
        assert all(get(edge) == b"other" for _ in range(8))
        client.send(request())
        assert client.answers(2).final[1].body == b"other"
        assert edge.worker_pids() == workers


def test_a_changed_file_is_noticed_without_a_signal(edge, other, get, until):
    edge.write(config(other.url, workers=2))
    until(lambda: get(edge) == b"other", "the new route is served")


def test_a_broken_file_changes_nothing_and_says_so(edge, get, metric, until):
    edge.file.write_text(edge.file.read_text().replace("pool: site", "pool: sight"))
    line = edge.file.read_text().splitlines().index("  pool: sight") + 1
    edge.reload()
    until(lambda: f"{edge.file}:{line}:9: routes[0].pool: " in edge.logs(), "the error is said with its place")
    assert get(edge) == b"ok"
    assert metric(edge, "edgeproxy_config_reload_failures_total") >= 1
    assert metric(edge, "edgeproxy_config_last_reload_ok") == 0
    assert edge.admin("/readyz")[0] == 200
    assert "Traceback" not in edge.logs()


def test_after_a_broken_file_a_good_one_heals(edge, whole, get, metric, until):
    edge.file.write_text("{")
    edge.reload()
    until(lambda: metric(edge, "edgeproxy_config_last_reload_ok") == 0, "the broken file is refused")
    edge.write(whole(workers=2))
    edge.reload()
    until(lambda: metric(edge, "edgeproxy_config_last_reload_ok") == 1, "the good file is taken")
    assert get(edge) == b"ok"


def test_what_only_a_worker_notices_changes_nothing(edge, whole, get, metric, until, tmp_path):
    workers = edge.worker_pids()
    edge.write(whole(workers=2, log={"access": {"file": str(tmp_path / "missing" / "log")}}))
    edge.reload()
    until(lambda: metric(edge, "edgeproxy_config_reload_failures_total") >= 1, "the reload is refused")
    until(lambda: "missing/log" in edge.logs(), "it is said why")
    assert get(edge) == b"ok"
    assert edge.worker_pids() == workers


def test_a_worker_that_dies_after_a_reload_comes_back_with_the_new_configuration(edge, other, get, until):
    edge.write(config(other.url, workers=2))
    edge.reload()
    until(lambda: "configuration reloaded" in edge.logs(), "the reload is said")
    for pid in edge.worker_pids():
        os.kill(pid, signal.SIGKILL)
    until(lambda: edge.admin_json("/healthz")["workers"]["ready"] == 2, "workers are back")
    assert all(get(edge) == b"other" for _ in range(8))


@pytest.mark.parametrize("workers", [1, 3])
def test_another_number_of_workers_is_a_new_generation_and_loses_nothing(edge, whole, slow, get, until, workers):
    client, release = slow(edge)
    old = set(edge.worker_pids())
    edge.write(whole(workers=workers))
    edge.reload()
    until(lambda: "configuration reloaded" in edge.logs(), "the reload is said")
    assert edge.admin_json("/healthz")["workers"] == {"configured": workers, "ready": workers}
    for _ in range(20):
        assert get(edge) == b"ok"
    release()
    with client:
        assert client.answers(1).final[0].body == b"firstend"
    until(lambda: not old & set(edge.worker_pids()), "the old workers are gone")
    assert len(edge.worker_pids()) == workers
    for _ in range(20):
        assert get(edge) == b"ok"


def test_requests_during_a_replacement_are_all_answered(edge, whole, until):
    edge.write(whole(workers=3))
    edge.reload()
    count = 0
    while "configuration reloaded" not in edge.logs() or count < 200:
        assert ask(edge.address, request(b"/", b"Connection: close")).final[0].status == 200
        count += 1
        assert count < 20_000


def test_listeners_come_and_go_and_those_that_stay_refuse_nobody(edge, whole, get, until):
    second = ("127.0.0.1", free_port())
    first = f"127.0.0.1:{edge.port}"
    edge.write(whole(workers=2, listeners=[{"address": first}, {"address": f"127.0.0.1:{second[1]}"}]))
    edge.reload()
    until(lambda: edge.logs().count("configuration reloaded") == 1, "the listener is added")
    assert ask(second, request(b"/", b"Connection: close")).final[0].status == 200
    assert get(edge) == b"ok"
    edge.write(whole(workers=2, listeners=[{"address": first}]))
    edge.reload()
    until(lambda: edge.logs().count("configuration reloaded") == 2, "the listener is removed")

    def refused():
        try:
            RawClient(second).__exit__()
        except ConnectionRefusedError:
            return True
        return False

    until(refused, "the address is closed")
    assert get(edge) == b"ok"


def test_a_listener_that_cannot_be_opened_changes_nothing(edge, whole, get, until):
    with RawClient(edge.address) as _, Site() as taken:
        address = f"127.0.0.1:{taken.port}"
        edge.write(whole(workers=2, listeners=[{"address": f"127.0.0.1:{edge.port}"}, {"address": address}]))
        edge.reload()
        until(lambda: f"cannot listen on {address}" in edge.logs(), "the address in use is said")
        assert get(edge) == b"ok"
        assert edge.admin_json("/healthz")["workers"]["ready"] == 2


def test_the_admin_listener_moves(edge, whole, until):
    before, edge.admin_port = edge.admin_port, free_port()
    edge.write(whole(workers=2))
    edge.reload()
    until(lambda: "configuration reloaded" in edge.logs(), "the reload is said")
    assert edge.admin("/readyz")[0] == 200
    with pytest.raises(ConnectionRefusedError):
        RawClient(("127.0.0.1", before))
