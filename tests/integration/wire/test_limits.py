"""What a client may use up: time, size, count. Short limits, the real proxy."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import NamedTuple

import pytest

from tests.support.client import RawClient, ask
from tests.support.origin import answer
from tests.support.processes import EdgeProcess
from tests.support.servers import wait_until
from tests.support.site import Site, config, request

LIMITS = {
    "head_size": "4KB",
    "header_count": 20,
    "body_size": "100KB",
    "connections_per_client": 5,
    "head_timeout": "600ms",
    "body_timeout": "600ms",
    "idle_timeout": "600ms",
    "write_timeout": "600ms",
}
SOON = 4.0  # seconds: well beyond the limits, well below the defaults


class Wire(NamedTuple):
    edge: EdgeProcess
    origin: Site


@pytest.fixture(scope="module")
def wire() -> Iterator[Wire]:
    with Site() as origin, EdgeProcess(config(origin.url, limits=LIMITS, middleware={"bot_check": False})) as edge:
        yield Wire(edge, origin)


@pytest.fixture
def client(wire: Wire) -> Iterator[RawClient]:
    with RawClient(wire.edge.address, timeout=SOON) as client:
        yield client


def _refused(client: RawClient) -> list[int]:
    """The statuses until the connection closed."""
    client.read_to_close(SOON)
    assert client.closed, "still open"
    return client.answers(1).statuses


# Time.


def test_half_a_head_ends_with_408(client: RawClient) -> None:
    client.send(b"GET / HTTP/1.1\r\nHost: a.exa")
    assert _refused(client) == [408]


def test_a_head_that_drips_ends_with_408(client: RawClient) -> None:
    client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\nX: ")
    deadline = time.monotonic() + SOON
    while not client.closed and time.monotonic() < deadline:
        client.send(b"a")
        client.read_some(0.05)
    assert client.closed, "kept alive by drops"
    assert client.received.startswith(b"HTTP/1.1 408 ")


def test_an_idle_connection_closes_without_a_word(client: RawClient) -> None:
    assert _refused(client) == []
    assert not client.received


def test_a_kept_connection_closes_without_a_word_when_idle(client: RawClient) -> None:
    client.send(request())
    assert _refused(client) == [200]


def test_an_idle_connection_after_a_refused_upgrade_closes_without_a_word(client: RawClient) -> None:
    client.send(request(b"/", b"Connection: Upgrade", b"Upgrade: foo"))
    assert _refused(client) == [200]


def test_an_idle_connection_after_a_body_in_a_segment_of_its_own_closes_without_a_word(client: RawClient) -> None:
    client.send(request(b"/", b"Content-Length: 5", method=b"POST"))
    assert client.read_some(0.2) == b""
    client.send(b"hello")
    assert _refused(client) == [200]


def test_a_slow_origin_is_not_the_clients_idleness(client: RawClient, wire: Wire) -> None:
    def late(_: object) -> Iterator[bytes]:
        time.sleep(1.5)  # longer than every limit above
        yield b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 4\r\n\r\nlate"

    wire.origin.on(b"/late", late)
    client.send(request(b"/late"))
    assert [a.body for a in client.answers(1).final] == [b"late"]


@pytest.mark.parametrize("framing", [b"Content-Length: 100", b"Transfer-Encoding: chunked"])
def test_a_body_that_stops_ends_with_408_and_is_no_request(client: RawClient, wire: Wire, framing: bytes) -> None:
    target = b"/stops/" + framing[:1]
    client.send(request(target, framing, method=b"POST") + (b"5\r\nhello\r\n" if b"chunked" in framing else b"hello"))
    assert _refused(client) == [408]
    assert not any(seen.complete for seen in wire.origin.to(target))


def test_a_client_that_does_not_read_is_cut_off(wire: Wire) -> None:
    block = b"x" * 65536
    wire.origin.on(
        b"/large",
        lambda _: iter(
            [b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 104857600\r\n\r\n", *[block] * 1600]
        ),
    )
    wire.origin.aborted.clear()
    with RawClient(wire.edge.address, receive_buffer=4096) as client:
        client.send(request(b"/large"))
        assert wire.origin.aborted.wait(SOON), "a client that takes nothing holds an origin"


# Size and count.


@pytest.mark.parametrize(
    ("status", "sent"),
    [
        (431, request(b"/", b"X: " + b"a" * 5000)),
        (431, request(b"/", *[b"X-%d: a" % number for number in range(30)])),
        (431, request(b"/", *[b"X: a"] * 30)),
        (414, request(b"/" + b"a" * 5000)),
        (413, request(b"/big", b"Content-Length: 200000", method=b"POST")),
        (413, request(b"/big", b"Content-Length: 200000", method=b"POST") + b"x" * 200_000),
        (413, request(b"/big", b"Content-Length: 200000", b"Expect: 100-continue", method=b"POST")),
        (
            413,
            request(b"/big", b"Transfer-Encoding: chunked", method=b"POST") + b"10000\r\n%b\r\n" % (b"x" * 65536) * 4,
        ),
    ],
    ids=["field", "fields", "one field often", "target", "length", "length and body", "expected body", "chunks"],
)
def test_too_much_is_refused_and_not_passed_on(client: RawClient, wire: Wire, status: int, sent: bytes) -> None:
    client.send(sent)
    assert _refused(client) == [status]
    assert not any(seen.complete for seen in wire.origin.to(b"/big"))


@pytest.mark.parametrize(
    "sent",
    [
        request(b"/", b"X: " + b"a" * 3500),
        request(b"/", *[b"X-%d: a" % number for number in range(15)]),
        request(b"/" + b"a" * 3500),
        request(b"/", b"Content-Length: 90000", method=b"POST") + b"x" * 90_000,
    ],
    ids=["field", "fields", "target", "body"],
)
def test_just_below_the_limits_is_served(client: RawClient, sent: bytes) -> None:
    client.send(sent)
    assert client.answers(1).statuses == [200]


def test_a_head_in_small_pieces_has_the_same_limit(client: RawClient, wire: Wire) -> None:
    client.send(b"GET / HTTP/1.1\r\nHost: a.example\r\n", *[b"X-%d: %b\r\n" % (n, b"a" * 1000) for n in range(10)])
    assert _refused(client) == [431]


def test_a_head_behind_a_body_has_the_same_limit(client: RawClient, wire: Wire) -> None:
    small = request(b"/", b"Content-Length: 3000", method=b"POST") + b"x" * 3000
    client.send(small + request(b"/behind", b"X: " + b"a" * 5000))
    assert _refused(client) in ([200], [200, 431])
    assert not wire.origin.to(b"/behind")


_CHUNK = b"5\r\nhello\r\n"


@pytest.mark.parametrize(
    "body",
    [
        b"5;" + b"a" * 40_000 + b"\r\nhello\r\n0\r\n\r\n",
        (b"1;" + b"a" * 1000 + b"\r\nx\r\n") * 100 + b"0\r\n\r\n",
        _CHUNK + b"0\r\nX: " + b"a" * 40_000 + b"\r\n\r\n",
        _CHUNK + b"0\r\n" + b"".join(b"X-%d: a\r\n" % number for number in range(30)) + b"\r\n",
        _CHUNK + b"0\r\n" + b"X: a\r\n" * 30 + b"\r\n",
    ],
    ids=["extension", "extensions", "trailer", "trailers", "one trailer often"],
)
def test_what_frames_a_body_is_limited_like_a_head(client: RawClient, wire: Wire, body: bytes) -> None:
    client.send(request(b"/frames", b"Transfer-Encoding: chunked", method=b"POST") + body)
    assert _refused(client) in ([400], [431], [])
    assert not any(seen.complete for seen in wire.origin.to(b"/frames"))


def test_many_small_chunks_are_no_attack(client: RawClient, wire: Wire) -> None:
    client.send(
        request(b"/small", b"Transfer-Encoding: chunked", method=b"POST") + b"1;a=b\r\nx\r\n" * 10_000 + b"0\r\n\r\n"
    )
    assert client.answers(1).statuses == [200]
    assert wire.origin.to(b"/small")[0].body == b"x" * 10_000


def test_pipelined_requests_each_have_the_limit_to_themselves(client: RawClient) -> None:
    client.send(request(b"/", b"X: " + b"a" * 3000) * 5)
    assert client.answers(5).statuses == [200] * 5


def test_connections_of_one_client_are_limited_and_others_are_not(wire: Wire) -> None:
    clients = [RawClient(wire.edge.address, source="127.9.9.9") for _ in range(5)]
    try:
        for client in clients:
            client.send(request())
            assert client.answers(1).statuses == [200]
        with RawClient(wire.edge.address, source="127.9.9.9") as sixth:
            sixth.send(request())
            sixth.read_to_close(SOON)
            assert (sixth.closed, bytes(sixth.received)) == (True, b"")
        with RawClient(wire.edge.address, source="127.9.9.8") as other:
            other.send(request())
            assert other.answers(1).statuses == [200]
    finally:
        for client in clients:
            client.socket.close()

    def admitted() -> bool:
        with RawClient(wire.edge.address, source="127.9.9.9") as again:
            again.send(request())
            return again.answers(1).statuses == [200]

    wait_until(admitted, "the place of a client that left is free again")


def test_the_proxy_serves_on_after_all_that(wire: Wire) -> None:
    assert ask(wire.edge.address, request()).statuses == [200]
    assert "internal error" not in wire.edge.logs()
    assert "Traceback" not in wire.edge.logs()


def test_pipelined_hits_wait_until_the_client_reads() -> None:
    """Half a megabyte that is kept, asked for 60 times in one segment: what nobody reads is not written ahead."""
    big = answer(200, b"x" * 500_000, b"Cache-Control: max-age=600")
    with Site() as origin, EdgeProcess(config(origin.url, middleware={"bot_check": False})) as edge:
        origin.on(b"/big", big)
        assert ask(edge.address, request(b"/big")).statuses == [200]
        before = edge.resident()
        with RawClient(edge.address, timeout=SOON) as client:
            client.send(request(b"/big") * 60)
            client.read_until(lambda received: len(received) > 1_000)
            assert ask(edge.address, request(b"/big")).statuses == [200]
            assert edge.resident() - before < 10_000_000
            client.read_until(lambda received: len(received) > 60 * 500_000)
            assert client.answers(60).statuses == [200] * 60
