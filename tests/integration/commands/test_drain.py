"""``edgeproxy drain`` against a running node."""

from __future__ import annotations

import os
import signal
from collections.abc import Iterator

import pytest
from click.testing import CliRunner, Result

from edgeproxy.cli import main
from tests.support.client import ask
from tests.support.origin import RecordingOrigin
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import request

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def origins() -> Iterator[list[RecordingOrigin]]:
    with RecordingOrigin() as one, RecordingOrigin() as two:
        yield [one, two]


def configured(origins: list[RecordingOrigin], **settings: object) -> dict[str, object]:
    pool = {"endpoints": [origin.url for origin in origins], "balance": "round_robin", "slow_start": 0, **settings}
    return {
        "workers": 2,
        "pools": {"site": pool},
        "routes": [{"name": "all", "pool": "site"}],
        "log": {"access": False},
    }


@pytest.fixture(scope="module")
def edge(origins: list[RecordingOrigin]) -> Iterator[EdgeProcess]:
    with EdgeProcess(configured(origins)) as edge:
        yield edge


def call(edge: EdgeProcess, *arguments: str) -> Result:
    return CliRunner().invoke(main, ["drain", "--admin", f"127.0.0.1:{edge.admin_port}", *arguments])


def asked(edge: EdgeProcess, origin: RecordingOrigin) -> int:
    """How many of eight requests, each on a connection of its own, ``origin`` gets."""
    before = len(origin.requests)
    for _ in range(8):
        assert ask(edge.address, request(b"/", b"Connection: close")).final[0].status == 200
    return len(origin.requests) - before


def drained(edge: EdgeProcess) -> list[list[bool]]:
    workers = edge.admin_json("/pools")["workers"]
    return [[each["draining"] for each in worker["pools"]["site"]] for worker in workers if "pools" in worker]


def test_a_drained_endpoint_stays_so_over_reloads_and_new_workers_until_that_is_undone(
    edge: EdgeProcess, origins: list[RecordingOrigin]
) -> None:
    name = origins[0].url.removeprefix("http://")
    result = call(edge, "site", name)
    assert (result.output, result.exit_code) == (f"drained: {name} of site\n", 0)
    assert drained(edge) == [[True, False]] * 2
    assert asked(edge, origins[0]) == 0
    edge.write(configured(origins, resolve_every="7s"))
    edge.reload()
    assert drained(edge) == [[True, False]] * 2
    (pid, *_) = edge.worker_pids()
    os.kill(pid, signal.SIGKILL)
    wait_until(lambda: pid not in edge.worker_pids() and drained(edge) == [[True, False]] * 2, "a new worker serves")
    assert asked(edge, origins[0]) == 0
    result = call(edge, "--undo", "site", name)
    assert (result.output, result.exit_code) == (f"used again: {name} of site\n", 0)
    assert drained(edge) == [[False, False]] * 2
    assert asked(edge, origins[0]) > 0


@pytest.mark.parametrize(("pool", "endpoint"), [("site", "192.0.2.1:80"), ("nowhere", "192.0.2.1:80")])
def test_what_is_not_there_is_not_drained(edge: EdgeProcess, pool: str, endpoint: str) -> None:
    result = call(edge, pool, endpoint)
    assert result.exit_code == 1
    assert f"pool '{pool}' has no endpoint '{endpoint}'" in result.output


@pytest.mark.parametrize(
    "order", [{}, {"pool": "site"}, {"pool": "site", "endpoint": 7}, {"pool": "site", "endpoint": "a", "more": 1}]
)
def test_an_order_that_names_nothing_is_refused(edge: EdgeProcess, order: object) -> None:
    status, body = edge.admin("/pools/drain", "POST", order)
    assert status == 400
    assert b"wanted" in body
