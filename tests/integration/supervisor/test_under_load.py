"""Reloads, a worker's death and the end of the proxy while wrk, or a crowd of our own, keeps 64 connections busy.

Seen to fail: with a new generation whose predecessor is killed instead of drained (reload); with a worker's death
taking the others along (kill -9); with a drain that gives no grace, or closes its listeners before the delay (SIGTERM).
"""

from __future__ import annotations

import asyncio
import os
import re
import signal
import subprocess
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple, Self

import pytest

from tests.integration.guarantees.crowd import Cut, Line, Unanswered, once
from tests.support.ports import accepts, free_port, wait_until
from tests.support.processes import EdgeProcess, NginxServer
from tests.support.site import config, request

CONNECTIONS = 64
LONG = 20

ORIGIN = """
server {{ listen 127.0.0.1:{port}; keepalive_requests 1000000;
  location /fetched {{ add_header Cache-Control no-store; return 200 "fetched"; }}
  location /kept {{ add_header Cache-Control max-age=600; return 200 "kept"; }}
  location /slow {{ add_header Cache-Control no-store; limit_rate 100k; root {root}; }}
}}"""

SCRIPT = """
local count = 0
function request()
  count = count + 1
  return wrk.format("GET", count % 3 == 0 and "/kept" or "/fetched")
end
"""

durations = pytest.mark.parametrize("seconds", [4, pytest.param(LONG, marks=pytest.mark.slow)])


class Load(NamedTuple):
    """What wrk reports."""

    requests: int
    errors: dict[str, int]
    bad: int

    @classmethod
    def parse(cls, text: str) -> Load:
        total = re.search(r"(\d+) requests in", text)
        assert total, text
        socket = re.search(r"Socket errors: connect (\d+), read (\d+), write (\d+), timeout (\d+)", text)
        names = ("connect", "read", "write", "timeout")
        errors = dict(zip(names, map(int, socket.groups()), strict=True)) if socket else dict.fromkeys(names, 0)
        bad = re.search(r"Non-2xx or 3xx responses: (\d+)", text)
        return cls(int(total[1]), errors, int(bad[1]) if bad else 0)


class Wrk:
    """The real wrk for some seconds; a context manager that is left when it has ended, :attr:`load` its report."""

    def __init__(self, url: str, seconds: int, script: Path) -> None:
        self._command = [
            "wrk",
            "-t1",
            f"-c{CONNECTIONS}",
            f"-d{seconds}s",
            "--timeout=10s",
            f"-s{script}",
            url,
        ]
        self._seconds = seconds
        self.load: Load

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(self._command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        return self

    def __exit__(self, error: object, *_: object) -> None:
        if error is not None:
            self._process.kill()
        text, _ = self._process.communicate(timeout=self._seconds + 20)
        if error is None:
            assert self._process.returncode == 0, text
            self.load = Load.parse(text)


@pytest.fixture(scope="module")
def nginx(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NginxServer]:
    root = tmp_path_factory.mktemp("root")
    root.chmod(0o755)
    (root / "slow").write_bytes(b"s" * 150_000)
    with NginxServer(ORIGIN.format(port="{port}", root=root), main="user root;" if os.getuid() == 0 else "") as nginx:
        yield nginx


@pytest.fixture(scope="module")
def shared(nginx: NginxServer) -> Iterator[EdgeProcess]:
    with EdgeProcess(settings(nginx)) as edge:
        yield edge


@pytest.fixture
def edge(shared: EdgeProcess) -> EdgeProcess:
    """One that goes on from test to test; what the last one brought about is over."""
    wait_until(lambda: len(shared.worker_pids()) == 2 and not any(connected(shared).values()), "it is at rest", 15)
    return shared


@pytest.fixture
def ending(nginx: NginxServer) -> Iterator[EdgeProcess]:
    """One to be ended."""
    with EdgeProcess(settings(nginx)) as edge:
        yield edge


@pytest.fixture
def wrk(edge: EdgeProcess, tmp_path: Path) -> Callable[[int], Wrk]:
    script = tmp_path / "mixed.lua"
    script.write_text(SCRIPT)
    return lambda seconds: Wrk(edge.url, seconds, script)


def settings(nginx: NginxServer, **more: Any) -> dict[str, Any]:
    drain = {"delay": "1s", "grace": "10s"}
    return config(nginx.url, **{"workers": 2, "log": {"access": False}, "drain": drain, **more})


def open_connections(pid: int, port: int) -> int:
    """Established client connections of a process: those of its sockets that have our port at this end."""
    inodes = set()
    for descriptor in Path(f"/proc/{pid}/fd").iterdir():
        try:
            inodes.add(re.sub(r"\D", "", str(descriptor.readlink())))
        except FileNotFoundError:
            continue
    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[1].endswith(f":{port:04X}") and row[3] == "01" and row[9] in inodes for row in rows)


def connected(edge: EdgeProcess) -> dict[int, int]:
    """Connections by worker."""
    return {pid: open_connections(pid, edge.port) for pid in edge.worker_pids()}


def under_load(edge: EdgeProcess) -> None:
    wait_until(lambda: sum(connected(edge).values()) >= CONNECTIONS, "all of wrk's connections are open")


def reload(edge: EdgeProcess) -> None:
    before = edge.logs().count("configuration reloaded")
    edge.reload()
    wait_until(lambda: edge.logs().count("configuration reloaded") > before, "it is reloaded")


@durations
def test_reloads_lose_nothing(edge: EdgeProcess, wrk: Callable[[int], Wrk], nginx: NginxServer, seconds: int) -> None:
    """By turns one that swaps the snapshot and one that changes the listeners, and so brings new workers."""
    first, second = ({"address": f"127.0.0.1:{port}"} for port in (edge.port, free_port()))
    with wrk(seconds) as running:
        under_load(edge)
        until = time.monotonic() + seconds - 1.5
        count = 0
        while time.monotonic() < until or count < 2:
            count += 1
            if count % 2 == 0:
                listeners = [first, second] if count % 4 == 2 else [first]
                edge.write(settings(nginx, listeners=listeners))
            reload(edge)
            time.sleep(seconds / 20)
    assert running.load.errors == {"connect": 0, "read": 0, "write": 0, "timeout": 0}
    assert running.load.bad == 0
    assert running.load.requests > 1000
    assert "did not drain" not in edge.logs()


@durations
def test_a_worker_that_is_killed_takes_its_open_connections_along_and_nothing_else(
    edge: EdgeProcess, wrk: Callable[[int], Wrk], seconds: int
) -> None:
    with wrk(seconds) as running:
        under_load(edge)
        workers = edge.worker_pids()
        victim = workers[0]
        lost = open_connections(victim, edge.port)
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: set(edge.worker_pids()) - set(workers) != set(), "another one is started")
        wait_until(lambda: edge.admin_json("/healthz")["workers"]["ready"] == 2, "it serves")
        under_load(edge)
        (successor,) = set(edge.worker_pids()) - set(workers)
        wait_until(lambda: open_connections(successor, edge.port) > 0, "it has connections again")
    errors = running.load.errors
    assert 0 < lost < CONNECTIONS
    assert errors["connect"] == errors["timeout"] == 0
    assert errors["read"] + errors["write"] <= lost
    assert running.load.bad == 0
    assert running.load.requests > 1000


def test_two_workers_share_the_load(edge: EdgeProcess, wrk: Callable[[int], Wrk]) -> None:
    with wrk(2):
        under_load(edge)
        shares = connected(edge)
    # 64 connections, each to either by hash: 12 or fewer at one is a matter of one in ten million.
    assert len(shares) == 2
    assert all(share > 12 for share in shares.values()), shares
    requests = [
        sum(endpoint["requests"] for endpoint in worker["pools"]["site"])
        for worker in edge.admin_json("/pools")["workers"]
    ]
    assert min(requests) > 0.1 * sum(requests)


class Crowd:
    """64 clients in a loop, each until it is told ``Connection: close``; what became of every request is counted.

    Among them a caller that keeps knocking: a new connection for each request, until nobody listens any more.
    """

    def __init__(self, edge: EdgeProcess) -> None:
        self._address = edge.address
        self.outcomes: Counter[str] = Counter()
        self.refused_at = 0.0

    async def run(self) -> None:
        await asyncio.gather(self._knock(), *(self._client(number) for number in range(CONNECTIONS)))

    async def _client(self, number: int) -> None:
        wire = request((b"/fetched", b"/kept", b"/fetched", b"/slow")[number % 4])
        async with Line(self._address) as line:
            while not await self._ask(line, wire):
                pass

    async def _knock(self) -> None:
        while True:
            try:
                async with Line(self._address) as line:
                    await self._ask(line, request(b"/fetched"))
                    self.outcomes["knocked"] += 1
            except ConnectionRefusedError:
                self.refused_at = time.monotonic()
                return

    async def _ask(self, line: Line, wire: bytes) -> bool:
        """Whether that was the last answer on this connection."""
        try:
            got = await line.ask(wire)
        except (Cut, Unanswered) as error:
            self.outcomes[type(error).__name__] += 1
            return True
        self.outcomes[str(got.status)] += 1
        return got.closes


@durations
def test_sigterm_loses_nothing(ending: EdgeProcess, seconds: int) -> None:
    crowd = Crowd(ending)
    thread = threading.Thread(target=lambda: asyncio.run(asyncio.wait_for(crowd.run(), seconds + 30)))
    thread.start()
    try:
        wait_until(lambda: sum(connected(ending).values()) >= CONNECTIONS, "all clients are connected")
        time.sleep(seconds / 4)
        told = time.monotonic()
        ending.process.send_signal(signal.SIGTERM)
        assert ending.process.wait(15) == 0
    finally:
        thread.join(40)
    outcomes = crowd.outcomes
    assert outcomes["knocked"] > 50
    assert outcomes["200"] > 500
    assert set(outcomes) == {"200", "knocked"}, outcomes
    assert crowd.refused_at > told + 1.0, "nobody is refused within the delay"
    assert not accepts(ending.port)
    assert "did not drain" not in ending.logs()


async def test_an_idle_connection_is_answered_or_closed_but_not_cut(ending: EdgeProcess) -> None:
    """One that was told nothing, for it asked nothing since: quiet for a second, it goes without a word."""
    async with Line(ending.address) as line:
        assert not (await line.ask(request(b"/fetched"))).closes
        ending.process.send_signal(signal.SIGTERM)
        await asyncio.to_thread(wait_until, lambda: ending.admin("/readyz")[0] == 503, "it drains")
        assert (await once(ending.address, request(b"/kept"))).closes
        async with asyncio.timeout(10):
            assert await line.reader.read() == b""
