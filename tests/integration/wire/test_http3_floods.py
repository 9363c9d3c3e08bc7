"""What clients over HTTP/3 may not do without end: each flood is cut off, cheaply, and harms nobody else."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from edgeproxy.http3 import codes, qpack
from edgeproxy.http3.varint import encode
from tests.conformance.http3.cases import CONTROL, ENCODER, POST, SETTINGS, frame
from tests.support.http3 import Http3Site
from tests.support.origin import RecordedRequest, answer
from tests.support.quic import QuicClient, get
from tests.support.servers import resident, wait_until

pytestmark = pytest.mark.slow

TICKS = os.sysconf("SC_CLK_TCK")


@pytest.fixture(scope="module")
def site() -> Iterator[Http3Site]:
    limits = {"handshakes": 40, "handshakes_per_client": 30, "head_timeout": "2s", "write_timeout": "2s"}
    with Http3Site(limits={**limits, "body_timeout": "20s"}) as site:
        yield site


def spent(site: Http3Site) -> float:
    """CPU time of the worker so far, in seconds."""
    (pid,) = site.edge.worker_pids()
    parts = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(parts[11]) + int(parts[12])) / TICKS


def flood(client: QuicClient, send: Callable[[int], None], most: int) -> int:
    """Send again and again until the connection is closed; how often that was."""
    for turn in range(most):
        send(turn)
        if turn % 16 == 0:
            client.turn()
            if client.closed is not None:
                return turn
    client.until(lambda: client.closed is not None, "the connection's end")
    return most


def streams(client: QuicClient) -> Callable[[], int]:
    """The next request stream that the server has room for."""
    number = -4

    def following() -> int:
        nonlocal number
        number += 4
        client.until(
            lambda: number // 4 < client.quic.max_concurrent_bidi_streams or client.closed is not None,
            "room for a stream",
        )
        return number

    return following


def test_rapid_resets_end_the_connection(site: Http3Site) -> None:
    held = threading.Event()

    def slow(_: RecordedRequest) -> Iterator[bytes]:
        held.wait(10)
        yield answer(200, b"late")

    site.site.on(b"/slow", slow)
    head = frame(codes.HEADERS, qpack.encode(get(b"/slow")))
    before = spent(site)
    with site.client(http=False) as client:
        client.connect()
        client.send(CONTROL, b"\0" + SETTINGS)
        following = streams(client)

        def send(_: int) -> None:
            stream = following()
            if client.closed is not None:
                return
            client.send(stream, head)
            client.flush()
            client.quic.reset_stream(stream, codes.REQUEST_CANCELLED)
            client.quic.stop_stream(stream, codes.REQUEST_CANCELLED)

        assert flood(client, send, 2_000) < 2_000
        assert client.closed == codes.EXCESSIVE_LOAD
    held.set()
    assert spent(site) - before < 2.0


@pytest.mark.parametrize(
    "piece",
    [frame(codes.DATA), frame(0x21, b"abc"), frame(0x40)],
    ids=["empty DATA", "reserved frames", "empty unknown frames"],
)
def test_frames_that_say_nothing_end_the_connection(site: Http3Site, piece: bytes) -> None:
    before = spent(site)
    with site.client(http=False) as client:
        client.connect()
        client.send(0, POST)
        flood(client, lambda _: client.send(0, piece * 100), 2_000)
        assert client.closed == codes.EXCESSIVE_LOAD
    assert spent(site) - before < 2.0


def test_control_frames_without_end_end_the_connection(site: Http3Site) -> None:
    with site.client(http=False) as client:
        client.connect()
        client.send(CONTROL, b"\0" + SETTINGS)
        flood(client, lambda _: client.send(CONTROL, frame(codes.GOAWAY, b"\0") * 20), 2_000)
        assert client.closed == codes.EXCESSIVE_LOAD


def test_an_unknown_frame_of_any_length_is_read_over_and_not_kept(site: Http3Site) -> None:
    (pid,) = site.edge.worker_pids()
    before, begun = resident(pid), spent(site)
    with site.client(http=False) as client:
        client.connect()
        client.send(0, POST + encode(0x21) + encode(20_000_000))
        for _ in range(200):
            client.send(0, bytes(100_000))
            client.until(lambda: client.quic.get_send_buffer_size(0) < 500_000 or client.closed is not None, "sent")
        client.send(0, frame(codes.DATA, b"end"), end=True)
        client.until(lambda: 0 in client.ended, "the answer")
    assert resident(pid) - before < 10_000_000
    assert spent(site) - begun < 4.0


def test_a_body_that_nobody_reads_waits_at_the_client() -> None:
    size, read = 30_000_000, threading.Event()

    def lazy(listening: socket.socket) -> None:
        connection, _ = listening.accept()
        with connection:
            got = connection.recv(1_000)
            read.wait(20)
            while not got.endswith(b"the end"):
                got = got[-10:] + connection.recv(1 << 20)
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 65_536)
        threading.Thread(target=lazy, args=(listening,), daemon=True).start()
        origin = f"http://127.0.0.1:{listening.getsockname()[1]}"
        with Http3Site(origin=origin) as site, site.client() as client:
            client.connect()
            (pid,) = site.edge.worker_pids()
            before = resident(pid)
            fields = [*get(b"/held", method=b"POST"), (b"content-length", b"%d" % size)]
            stream = client.ask(fields, bytes(size - 7) + b"the end")
            last, still = 0, 0
            while still < 20:  # until nothing goes any more
                client.linger(0.05)
                left = client.quic.get_send_buffer_size(stream)
                still = still + 1 if left == last else 0
                last = left
            assert last > size - 8_000_000
            assert resident(pid) - before < 12_000_000
            read.set()
            assert client.finish(stream).status == 200


def test_an_answer_that_nobody_takes_is_given_up(site: Http3Site) -> None:
    site.site.on(b"/large", answer(200, bytes(5_000_000), b"Cache-Control: max-age=60"))
    (pid,) = site.edge.worker_pids()
    with site.client() as other:
        other.connect().get(b"/large")
        before = resident(pid)
        with site.client(max_stream_data=20_000, http=False) as client:
            client.connect()
            head = frame(codes.HEADERS, qpack.encode(get(b"/large")))
            frozen = client.quic._drain_core
            for number in range(50):
                client.send(4 * number, head, end=True)
            client.flush()
            client.quic._drain_core = lambda: None
            assert other.get(b"/large").status == 200
            assert resident(pid) - before < 12_000_000
            given_up = time.monotonic() + 6  # two periods of write_timeout, in which next to nothing goes
            client.until(lambda: time.monotonic() > given_up, "the periods' end", 20)
            client.quic._drain_core = frozen
            frozen()
            client.until(lambda: len(client.reset) >= 45, "the streams are reset", 10)
        assert set(client.reset.values()) == {codes.REQUEST_CANCELLED}


def test_handshakes_without_end_are_asked_for_their_address_first(site: Http3Site) -> None:
    before = site.metric("edgeproxy_quic_retries_total")
    clients = [site.client(http=False) for _ in range(12)]
    for client in clients:
        client.start()
        client.flush()
    wait_until(lambda: site.metric("edgeproxy_quic_retries_total") > before, "a Retry")
    with site.client() as honest:
        assert honest.connect().get().status == 200
    for client in clients:
        client.socket.close()


def test_a_section_in_the_smallest_pieces_costs_little(site: Http3Site) -> None:
    before = spent(site)
    head = frame(codes.HEADERS, qpack.encode([*get(), (b"a", b"b" * 20_000)]))
    with site.client(http=False) as client:
        client.connect()
        for at in range(0, len(head), 40):
            client.send(0, head[at : at + 40], end=at + 40 >= len(head))
            client.flush()
        client.until(lambda: 0 in client.ended, "the answer")
    assert spent(site) - before < 2.0


def test_heads_of_more_fields_than_are_borne_end_the_connection(site: Http3Site) -> None:
    section = frame(codes.HEADERS, qpack.encode(get()) + b"\xd1" * 500)  # a byte each: ":method: GET"
    with site.client(http=False) as client:
        client.connect()
        for number in range(100):
            client.send(4 * number, section, end=True)
            client.turn()
        client.until(lambda: client.closed is not None, "the connection's end")
        assert client.closed == codes.EXCESSIVE_LOAD


def test_nobody_may_fill_a_table_or_wait_for_one(site: Http3Site) -> None:
    table = b"\2\x3f\xe1\x1f"
    section = frame(codes.HEADERS, b"\x02\x00\x80" + qpack.encode(get())[2:])
    for stream, data, code in (
        (ENCODER, table, codes.QPACK_ENCODER_STREAM_ERROR),
        (0, section, codes.QPACK_DECOMPRESSION_FAILED),
    ):
        with site.client(http=False) as client:
            client.connect()
            client.send(CONTROL, b"\0" + SETTINGS)
            client.send(stream, data)
            client.until(lambda: client.closed is not None, "the connection's end")
            assert client.closed == code


def test_nobody_else_has_noticed(site: Http3Site) -> None:
    with site.client() as client:
        assert client.connect().get().status == 200
    assert not [line for line in site.edge.logs().splitlines() if " error " in line]
