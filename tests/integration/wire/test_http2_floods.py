"""Attacks on HTTP/2 connections of the real proxy: they end, they are cheap, and memory has a bound."""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Iterator
from typing import NamedTuple

import pytest

from edgeproxy.http2 import floods, frames
from edgeproxy.http2.floods import BUDGETS, CONTINUATION_FLOOD
from edgeproxy.http2.hpack import encode
from tests.support.http2_attacks import ATTACKS, OPENING, TARGET, WHOLE, endless_section, frame
from tests.support.http2_client import Http2Client
from tests.support.origin import RecordedRequest
from tests.support.ports import free_port, queued
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
def test_heads_of_more_fields_than_are_borne_end_their_connection_and_are_counted(wire: Wire) -> None:
    head = encode([(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a.example")])
    kind = BUDGETS[floods.HEADS].kind
    before = counted(wire).get(kind, 0)
    many = head + b"\x90" * 500  # a byte each: "accept-encoding: gzip, deflate"
    told = flood(wire.address, lambda n: frame(frames.HEADERS, WHOLE, 2 * n + 1, many), 100)
    assert frames.uint32(frames.ENHANCE_YOUR_CALM) + b"too many: " in told
    assert counted(wire)[kind] == before + 1


@pytest.mark.slow
def test_answers_that_wait_for_the_connection_s_window_or_their_own_go_on_when_it_opens(wire: Wire) -> None:
    target = wire.origin.on(b"/wide", KEPT.replace(b"Length: 4", b"Length: 40000").replace(b"kept", bytes(40_000)))
    with Http2Client(wire.address, window=100_000, takes=False) as client:
        numbers = [client.ask(target) for _ in range(10)]

        def came() -> int:
            return sum(len(client.streams[number].body) for number in numbers)

        client.until(lambda: came() == 65_535)
        client.h2.update_settings({4: 200_000})  # of no use: it is the connection's that is shut
        client.ping()
        assert came() == 65_535
        client.h2.increment_flow_control_window(1_000_000)
        client.flush()
        client.until(lambda: all(client.streams[number].ended for number in numbers))
        assert came() == 400_000
    with Http2Client(wire.address, window=0, takes=False) as client:
        numbers = [client.ask(target) for _ in range(10)]
        client.ping()
        assert came() == 0
        client.h2.increment_flow_control_window(1_000_000)
        client.ping()
        assert came() == 0
        client.h2.update_settings({4: 100_000})
        client.flush()
        client.until(lambda: all(client.streams[number].ended for number in numbers))


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
        assert settled - queued(wire.origin.port) < 100 * MB, "nobody held the origin back"
        assert grown < 100 * MB, f"{grown / MB:.0f} MB for 100 streams"
