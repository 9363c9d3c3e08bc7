"""What holds connections without asking much: slow bodies, slow readers, idle hoards, handshakes that never end."""

from __future__ import annotations

import contextlib
import resource
import socket
import ssl
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.certificates import Authority
from tests.support.client import RawClient, ask
from tests.support.origin import answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

LIMITS: dict[str, Any] = {
    "head_timeout": "1500ms",
    "body_timeout": "600ms",
    "body_rate": "1KB",
    "idle_timeout": "60s",
    "write_timeout": "600ms",
    "write_rate": "1KB",
}
SOON = 6.0  # seconds: well beyond the limits
LARGE = b"x" * 12_000_000


def counted(edge: EdgeProcess, name: str) -> float:
    lines = edge.admin("/metrics")[1].decode().splitlines()
    return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(name))


@pytest.fixture(scope="module")
def origin() -> Iterator[Site]:
    with Site() as site:
        site.on(b"/large", answer(200, LARGE, b"Cache-Control: max-age=600"))
        yield site


@pytest.fixture(scope="module")
def edge(origin: Site) -> Iterator[EdgeProcess]:
    with EdgeProcess(config(origin.url, workers=1, limits=LIMITS)) as edge:
        assert ask(edge.address, request(b"/large"), timeout=30).statuses == [200]
        yield edge


# Bodies.


def drip(client: RawClient, piece: bytes, pause: float, seconds: float) -> None:
    """Send a piece again and again, until the peer closes or time is up."""
    deadline = time.monotonic() + seconds
    while not client.closed and time.monotonic() < deadline:
        client.send(piece)
        client.read_some(pause)


@pytest.mark.parametrize(
    ("framing", "piece"),
    [(b"Content-Length: 100000", b"x"), (b"Transfer-Encoding: chunked", b"1\r\nx\r\n")],
    ids=["length", "chunks"],
)
def test_a_body_that_drips_ends_with_408(edge: EdgeProcess, origin: Site, framing: bytes, piece: bytes) -> None:
    target = b"/drip/" + framing[:1]
    with RawClient(edge.address) as client:
        client.send(request(target, framing, method=b"POST"))
        drip(client, piece, 0.05, SOON)
        assert client.closed, "kept alive by drops"
        assert client.answers(1).statuses == [408]
    assert not any(seen.complete for seen in origin.to(target))


def test_a_body_that_comes_steadily_may_take_its_time(edge: EdgeProcess, origin: Site) -> None:
    with RawClient(edge.address) as client:
        client.send(request(b"/steady", b"Content-Length: 20000", method=b"POST"))
        for _ in range(40):  # two seconds, over three periods
            client.send(b"x" * 500)
            assert client.read_some(0.05) == b"" or client.received
        assert client.answers(1).statuses == [200]


def test_a_body_that_the_origin_does_not_take_is_not_the_clients_slowness() -> None:
    listener = socket.create_server(("127.0.0.1", 0))
    size = 16_000_000

    def late() -> None:
        connection, _ = listener.accept()
        with connection:
            begun = connection.recv(1000)  # the head, and perhaps the body's first bytes
            time.sleep(4)  # more than two periods
            left = size - len(begun.partition(b"\r\n\r\n")[2])
            while left > 0 and (data := connection.recv(1_000_000)):
                left -= len(data)
            connection.sendall(answer(200, b"all of it"))

    with (
        listener,
        EdgeProcess(
            config(f"http://127.0.0.1:{listener.getsockname()[1]}", limits=LIMITS | {"body_timeout": "1500ms"})
        ) as edge,
        RawClient(edge.address, timeout=20) as client,
    ):
        threading.Thread(target=late, daemon=True).start()
        client.send(request(b"/", b"Content-Length: %d" % size, method=b"POST"))
        client.send(b"x" * size)
        assert [one.body for one in client.answers(1).final] == [b"all of it"]


# Readers.


def test_a_reader_that_drips_is_cut_off(edge: EdgeProcess) -> None:
    with RawClient(edge.address, receive_buffer=4096) as client:
        client.send(request(b"/large"))
        deadline = time.monotonic() + 3 * SOON
        client.socket.settimeout(1)
        taken = 0
        with contextlib.suppress(ConnectionError):
            while time.monotonic() < deadline and counted(edge, "edgeproxy_connections ") > 0:
                taken += len(client.socket.recv(1))
                time.sleep(0.1)
    assert 0 < taken < 1000
    assert time.monotonic() < deadline, "held by drops"


def test_a_reader_that_takes_steadily_gets_all_however_long_it_takes(edge: EdgeProcess) -> None:
    with RawClient(edge.address, receive_buffer=65536) as client:
        client.send(request(b"/large"))
        started, received = time.monotonic(), bytearray()
        client.socket.settimeout(2)
        while len(received) < len(LARGE) and (data := client.socket.recv(100_000)):
            received += data
            time.sleep(0.02)
        assert time.monotonic() - started > 1.5, "it has taken longer than one period"
        assert received.endswith(b"x" * 1000)
        assert len(received) > len(LARGE)


# Connections.


@pytest.fixture
def crowded(origin: Site) -> Iterator[EdgeProcess]:
    with EdgeProcess(config(origin.url, workers=1, limits={**LIMITS, "connections": 20})) as edge:
        yield edge


def fill(edge: EdgeProcess, count: int, *, served: bool = False) -> list[RawClient]:
    clients = [RawClient(edge.address, source=f"127.5.{number // 200}.{number % 200 + 1}") for number in range(count)]
    if served:
        for client in clients:
            client.send(request())
            assert client.answers(1).statuses == [200]
    wait_until(lambda: counted(edge, "edgeproxy_connections ") >= count, "all connections are there")
    return clients


def test_a_hoard_of_silent_connections_makes_room_for_who_asks(crowded: EdgeProcess) -> None:
    with contextlib.ExitStack() as stack:
        kept = stack.enter_context(RawClient(crowded.address, source="127.6.0.1"))
        kept.send(request())
        assert kept.answers(1).statuses == [200]
        for client in fill(crowded, 19):
            stack.enter_context(client)
        for _ in range(10):
            assert ask(crowded.address, request(b"/", b"Connection: close")).statuses == [200]
        kept.send(request())
        assert kept.answers(2).statuses == [200, 200], "it is used, and the silent ones are not"
    assert counted(crowded, "edgeproxy_connections_evicted_total ") >= 1
    assert counted(crowded, "edgeproxy_connections_refused_total{") == 0


def test_of_those_that_have_served_the_one_idle_for_longest_goes(crowded: EdgeProcess) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(client) for client in fill(crowded, 20, served=True)]
        assert ask(crowded.address, request()).statuses == [200]
        clients[0].read_to_close(1)
        assert [client.closed for client in clients[:3]] == [True, False, False]


def test_where_all_are_busy_a_newcomer_is_turned_away_and_none_is_cut(crowded: EdgeProcess, origin: Site) -> None:
    release = threading.Event()

    def late(_: object) -> Iterator[bytes]:
        release.wait(10)
        yield answer(200, b"late", b"Cache-Control: no-store")

    targets = [origin.on(b"/late/%d" % number, late) for number in range(20)]
    with contextlib.ExitStack() as stack:
        stack.callback(release.set)
        clients = [stack.enter_context(client) for client in fill(crowded, 20)]
        for client, target in zip(clients, targets, strict=True):
            client.send(request(target))
        wait_until(lambda: all(map(origin.to, targets)), "all are busy")
        with RawClient(crowded.address) as newcomer:
            newcomer.send(request())
            newcomer.read_to_close(SOON)
            assert (newcomer.closed, bytes(newcomer.received)) == (True, b"")
        release.set()
        assert [client.answers(1).statuses for client in clients] == [[200]] * 20
    assert counted(crowded, 'edgeproxy_connections_refused_total{limit="connections"}') >= 1


# Handshakes.


def tls_node(origin: Site, folder: Path, limits: dict[str, Any], **more: Any) -> tuple[EdgeProcess, ssl.SSLContext]:
    authority = Authority(folder)
    pair = authority.issue("a.example")
    certificates = [{"certificate": str(pair.certificate), "key": str(pair.key)}]
    edge = EdgeProcess({})
    listener = {"address": f"127.0.0.1:{edge.port}", "tls": {"certificates": certificates}}
    edge.write(config(origin.url, workers=1, limits=limits, listeners=[listener], **more))
    return edge, ssl.create_default_context(cafile=str(authority.file))


@pytest.fixture(scope="module")
def secured(origin: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[EdgeProcess, ssl.SSLContext]]:
    limits = {**LIMITS, "handshakes": 12, "handshakes_per_client": 5}
    edge, context = tls_node(origin, tmp_path_factory.mktemp("tls"), limits)
    with edge:
        yield edge, context


def closes(client: RawClient) -> bool:
    client.read_to_close(0.5)
    return client.closed


def served(edge: EdgeProcess, context: ssl.SSLContext, source: str) -> bool:
    try:
        with RawClient(edge.address, tls=context, server_name="a.example", source=source) as client:
            client.send(request())
            return client.answers(1).statuses == [200]
    except OSError:
        return False


def handshakes(edge: EdgeProcess, stack: contextlib.ExitStack, *sources: str) -> list[RawClient]:
    """Connections that have begun a handshake and say no more."""
    clients = [stack.enter_context(RawClient(edge.address, source=source)) for source in sources]
    for client in clients:
        client.send(b"\x16\x03\x01\x02\x00\x01")
    return clients


def test_handshakes_of_one_address_are_limited_and_others_are_not(secured: tuple[EdgeProcess, ssl.SSLContext]) -> None:
    edge, context = secured
    with contextlib.ExitStack() as stack:
        first = handshakes(edge, stack, *["127.7.0.1"] * 5)
        (sixth,) = handshakes(edge, stack, "127.7.0.1")
        assert closes(sixth)
        assert served(edge, context, "127.7.0.2")
        assert not first[0].closed
    wait_until(lambda: served(edge, context, "127.7.0.1"), "there is room again")


def test_handshakes_of_all_together_are_limited_and_end_in_time(secured: tuple[EdgeProcess, ssl.SSLContext]) -> None:
    edge, context = secured
    with contextlib.ExitStack() as stack:
        flood = handshakes(edge, stack, *[f"127.8.0.{number + 1}" for number in range(12)])
        assert not served(edge, context, "127.7.0.3")
        flood[0].read_to_close(SOON)
        assert flood[0].closed, "a handshake may last for ever"
        wait_until(lambda: served(edge, context, "127.7.0.3"), "there is room again")
    assert counted(edge, 'edgeproxy_connections_refused_total{limit="handshakes"}') >= 1
    assert "Traceback" not in edge.logs()


def test_handshakes_that_never_end_keep_no_worker_beyond_its_grace(origin: Site, tmp_path: Path) -> None:
    edge, _ = tls_node(origin, tmp_path, {"head_timeout": "60s"}, drain={"grace": "1s"})
    with edge, contextlib.ExitStack() as stack:
        handshakes(edge, stack, "127.7.0.1", "127.7.0.2")
        started = time.monotonic()
        assert edge.stop(20) == 0
        assert time.monotonic() - started < 10
        assert "Traceback" not in edge.logs()


def test_a_worker_that_has_no_file_left_serves_on_when_it_has(origin: Site, tmp_path: Path) -> None:
    edge, context = tls_node(origin, tmp_path, {"head_timeout": "60s"})
    with edge, contextlib.ExitStack() as stack:
        (worker,) = edge.worker_pids()
        assert served(edge, context, "127.7.0.1")
        limits = resource.prlimit(worker, resource.RLIMIT_NOFILE)
        opened = max(int(file.name) for file in Path(f"/proc/{worker}/fd").iterdir())
        resource.prlimit(worker, resource.RLIMIT_NOFILE, (opened + 2, limits[1]))
        handshakes(edge, stack, *["127.7.0.1"] * 40)
        wait_until(lambda: "Too many open files" in edge.logs(), "no file is left")
        resource.prlimit(worker, resource.RLIMIT_NOFILE, limits)
        wait_until(lambda: served(edge, context, "127.7.0.2"), "it serves on")
        assert "Traceback" not in edge.logs()
        assert edge.logs().count("nothing accepted") < 100, "it goes round in circles"
        assert counted(edge, 'edgeproxy_connections_refused_total{limit="files"}') >= 1
