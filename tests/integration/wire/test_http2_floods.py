"""Attacks on HTTP/2 connections of the real proxy: they end, they are cheap, and memory has a bound."""

from __future__ import annotations

import contextlib
import socket
import subprocess
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from edgeproxy.http2 import floods, frames
from edgeproxy.http2.floods import BUDGETS, CONTINUATION_FLOOD
from edgeproxy.http2.hpack import encode
from tests.benchmarks import proc
from tests.support.http2_attacks import ATTACKS, OPENING, TARGET, WHOLE, endless_section, frame
from tests.support.origin import RecordedRequest
from tests.support.ports import free_port
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config

MB = 1024 * 1024
KEPT = b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\nCache-Control: max-age=600\r\n\r\nkept"


class Wire(NamedTuple):
    edge: EdgeProcess
    origin: Site
    address: tuple[str, int]


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    address = ("127.0.0.1", free_port())
    listeners = [{"address": f"127.0.0.1:{address[1]}", "protocols": "h2"}]
    with Site() as origin:
        origin.on(b"/", KEPT)
        origin.on(TARGET, lambda _: iter(()))
        quiet = {"bot_check": False}
        with EdgeProcess(config(origin.url, listeners=listeners, middleware=quiet)) as edge:
            yield Wire(edge, origin, address)
            assert "Traceback" not in edge.logs()
            assert "internal error" not in edge.logs()


def flood(address: tuple[str, int], attack: Callable[[int], bytes], rounds: int) -> bytes:
    """Send an attack until the connection ends; what came back."""
    told = b""
    with socket.create_connection(address, timeout=20) as peer:
        with contextlib.suppress(ConnectionError):
            peer.sendall(OPENING + b"".join([attack(n) for n in range(rounds)]))
        with contextlib.suppress(ConnectionError):
            while data := peer.recv(65_536):
                told += data
    return told


def counted(wire: Wire) -> dict[str, float]:
    """Connections that were ended, by the kind of flood."""
    lines = wire.edge.admin("/metrics")[1].decode().splitlines()
    told = [line.removeprefix('edgeproxy_http2_floods_total{kind="') for line in lines]
    return {
        kind: float(rest.removeprefix("} "))
        for kind, _, rest in (line.partition('"') for line in told)
        if rest[:2] == "} "
    }


@pytest.mark.slow
@pytest.mark.parametrize("kind", ATTACKS, ids=lambda kind: BUDGETS[kind].kind)
def test_an_attack_ends_its_connection_and_is_counted(wire: Wire, kind: int) -> None:
    before = counted(wire)
    told = flood(wire.address, ATTACKS[kind], 4 * int(BUDGETS[kind].most))
    assert frames.uint32(frames.ENHANCE_YOUR_CALM) + b"too many: " in told
    after = counted(wire)
    more = {name for name, number in after.items() if number > before.get(name, 0)}
    # What is cancelled counts until it has ended, so that of streams broken off some are one too many.
    assert len(more) == 1
    assert more <= {BUDGETS[kind].kind, *(("refused_streams",) if kind in (floods.RESET, floods.BROKEN) else ())}


@pytest.mark.slow
def test_a_section_without_end_ends_its_connection_and_is_counted(wire: Wire) -> None:
    before = counted(wire).get(CONTINUATION_FLOOD, 0)
    told = flood(wire.address, endless_section, 1_000)
    assert frames.uint32(frames.ENHANCE_YOUR_CALM) + b"a field section too long" in told
    assert counted(wire)[CONTINUATION_FLOOD] == before + 1


@pytest.mark.slow
def test_a_client_that_asks_for_much_and_takes_nothing_costs_bounded_memory(wire: Wire) -> None:
    sent = [0]

    def endless(_: RecordedRequest) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n"
        while True:
            yield bytes(65_536)
            sent[0] += 65_536

    target = wire.origin.on(b"/endless", endless)
    head = encode([(b":method", b"GET"), (b":scheme", b"http"), (b":path", target), (b":authority", b"a.example")])
    before = wire.edge.resident()
    with socket.create_connection(wire.address, timeout=20) as peer:
        heads = [frame(frames.HEADERS, WHOLE, number, head) for number in range(1, 200, 2)]
        peer.sendall(OPENING + b"".join(heads))
        settled, rest = 0, -1
        peer.settimeout(1)
        told = 0
        while rest != settled:
            rest = settled
            with contextlib.suppress(TimeoutError):
                while data := peer.recv(65_536):
                    told += len(data)
            settled = sent[0]
        grown = wire.edge.resident() - before
        assert told < 65_535 + 100_000, "not more than the connection's window"
        assert settled < 100 * 6 * MB, "sockets' buffers, and what waits for the windows"
        assert grown < 100 * MB, f"{grown / MB:.0f} MB for 100 streams"


@pytest.mark.bench
def test_what_an_attack_costs_beside_an_honest_request(wire: Wire, capsys: pytest.CaptureFixture[str]) -> None:
    (pid,) = wire.edge.worker_pids()
    rounds = 100
    costs = {"hit": asked(wire, pid, b"/", 20_000), "miss": asked(wire, pid, b"/missed", 2_000)}
    before = proc.cpu_seconds(pid)
    for _ in range(rounds):
        with socket.create_connection(wire.address, timeout=20) as peer:
            peer.sendall(OPENING)
            peer.recv(65_536)
    costs["connection"] = (proc.cpu_seconds(pid) - before) / rounds
    attacks = [(BUDGETS[kind].kind, attack, int(BUDGETS[kind].most) + 1) for kind, attack in ATTACKS.items()]
    for kind, attack, size in (*attacks, (CONTINUATION_FLOOD, endless_section, 30)):
        before = proc.cpu_seconds(pid)
        for _ in range(rounds):
            flood(wire.address, attack, size)
        costs[kind] = ((proc.cpu_seconds(pid) - before) / rounds - costs["connection"]) / size
    with capsys.disabled():
        print()
        for name, cost in costs.items():
            print(f"{name:>16} {cost * 1e6:6.1f} µs")
    begun = {BUDGETS[kind].kind for kind in (floods.RESET, floods.BROKEN, floods.REFUSED)}
    for kind, _, _ in (*attacks, (CONTINUATION_FLOOD, endless_section, 30)):
        assert costs[kind] <= 3 * costs["miss" if kind in begun else "hit"], kind


def asked(wire: Wire, pid: int, target: bytes, count: int) -> float:
    """Seconds of CPU that an honest request takes."""
    url = f"http://127.0.0.1:{wire.address[1]}{target.decode()}"
    before = proc.cpu_seconds(pid)
    subprocess.run(["h2load", "-n", str(count), "-c", "4", "-m", "10", url], check=True, capture_output=True)
    return (proc.cpu_seconds(pid) - before) / count
