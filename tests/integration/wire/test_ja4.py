"""JA4 of real clients' hellos, as the origin is told: stable, looked at without being taken, and never in the way."""

from __future__ import annotations

import re
import socket
import ssl
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from tests.support.certificates import Authority
from tests.support.client import RawClient
from tests.support.processes import EdgeProcess
from tests.support.servers import free_port
from tests.support.site import Site, config, request

JA4 = re.compile(rb"t1[23][di]\d{4}[0-9a-z]{2}_[0-9a-f]{12}_[0-9a-f]{12}")
PATIENCE = 1.0  # seconds for what stands before the first byte


class Wire(NamedTuple):
    edge: EdgeProcess
    origin: Site
    context: ssl.SSLContext
    direct: tuple[str, int]
    proxied: tuple[str, int]
    without: tuple[str, int]

    def connect(self, address: tuple[str, int]) -> RawClient:
        return RawClient(address, tls=self.context)

    def told(self, target: bytes) -> bytes | None:
        (seen,) = self.origin.to(target)
        return seen.get(b"x-ja4")


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    authority = Authority(tmp_path_factory.mktemp("ja4"))
    pair = authority.issue("localhost")
    tls = {"certificates": [{"certificate": str(pair.certificate), "key": str(pair.key)}]}
    direct, proxied, without = (("127.0.0.1", free_port()) for _ in range(3))
    listeners: list[dict[str, Any]] = [
        {"address": f"127.0.0.1:{direct[1]}", "tls": tls | {"fingerprint": True}, "protocols": ["h1"]},
        {"address": f"127.0.0.1:{proxied[1]}", "tls": tls | {"fingerprint": True}, "proxy_protocol": ["127.0.0.1/32"]},
        {"address": f"127.0.0.1:{without[1]}", "tls": tls},
    ]
    stages = {"bot_check": False, "headers": {"request": {"set": {"x-ja4": "{client.ja4}"}}}}
    limits = {"head_timeout": f"{PATIENCE}s", "connections": 50}
    context = ssl.create_default_context(cafile=str(authority.file))
    with Site() as origin:
        settings = config(origin.url, listeners=listeners, limits=limits, middleware=stages)
        with EdgeProcess(settings) as edge:
            yield Wire(edge, origin, context, direct, proxied, without)


def hello_of(context: ssl.SSLContext) -> bytes:
    """The first bytes Python's TLS client writes."""
    out = ssl.MemoryBIO()
    connection = context.wrap_bio(ssl.MemoryBIO(), out, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        connection.do_handshake()
    return out.read()


def test_a_client_has_the_same_fingerprint_each_time_and_another_client_another_one(wire: Wire) -> None:
    other = ssl.create_default_context()
    other.check_hostname, other.verify_mode = False, ssl.CERT_NONE
    other.set_ciphers("ECDHE+CHACHA20")
    other.set_alpn_protocols(["h2", "http/1.1"])
    clients = {b"usual": wire.context, b"other": other}
    for number in range(2):
        for name, context in clients.items():
            with RawClient(wire.direct, tls=context) as client:
                client.send(request(b"/%b%d" % (name, number)))
                assert client.answers(1).statuses == [200]
    usual, others = ([wire.told(b"/%b%d" % (name, number)) or b"" for number in range(2)] for name in clients)
    assert usual[0] == usual[1] != others[0] == others[1]
    assert JA4.fullmatch(usual[0])
    assert JA4.fullmatch(others[0])
    assert (usual[0][8:10], others[0][8:10]) == (b"00", b"h2")


def test_all_requests_of_a_connection_bear_it(wire: Wire) -> None:
    with wire.connect(wire.direct) as client:
        for target in (b"/one", b"/two"):
            client.send(request(target))
        assert client.answers(2).statuses == [200, 200]
    assert wire.told(b"/one") == wire.told(b"/two") != b""


def test_a_listener_that_is_not_asked_to_takes_none(wire: Wire) -> None:
    with wire.connect(wire.without) as client:
        client.send(request(b"/without"))
        assert client.answers(1).statuses == [200]
    assert not wire.told(b"/without")


class Slowly:
    """A TLS client over a socket whose first bytes leave in pieces."""

    def __init__(self, address: tuple[str, int], context: ssl.SSLContext) -> None:
        self.socket = socket.create_connection(address, timeout=5)
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._in, self._out, server_hostname="localhost")

    def ask(self, target: bytes, pieces: int) -> bytes:
        first = self._pump(self._tls.do_handshake)
        size = len(first) // pieces + 1
        for at in range(0, len(first), size):
            self.socket.sendall(first[at : at + size])
            time.sleep(0.01)  # a segment of its own; nothing is waited for
        while (rest := self._pump(self._tls.do_handshake)) is not None:
            self.socket.sendall(rest)
            self._in.write(self.socket.recv(65536))
        self._tls.write(request(target))
        self.socket.sendall(self._out.read())
        while True:
            self._in.write(self.socket.recv(65536))
            try:
                return self._tls.read(65536)
            except ssl.SSLWantReadError:
                continue

    def _pump(self, step: Any) -> Any:
        try:
            step()
        except ssl.SSLWantReadError:
            return self._out.read()
        self.socket.sendall(self._out.read())
        return None


@pytest.mark.parametrize("pieces", [2, 7])
def test_a_hello_in_several_segments(wire: Wire, pieces: int) -> None:
    client = Slowly(wire.direct, wire.context)
    with client.socket:
        assert client.ask(b"/pieces%d" % pieces, pieces).startswith(b"HTTP/1.1 200 ")
    with wire.connect(wire.direct) as whole:
        whole.send(request(b"/whole%d" % pieces))
        assert whole.answers(1).statuses == [200]
    assert wire.told(b"/pieces%d" % pieces) == wire.told(b"/whole%d" % pieces) != b""


def test_behind_the_proxy_protocol_the_header_is_taken_and_the_hello_left(wire: Wire) -> None:
    with socket.create_connection(wire.proxied, timeout=5) as plain:
        plain.sendall(b"PROXY TCP4 192.0.2.7 192.0.2.1 1234 443\r\n")
        with wire.context.wrap_socket(plain, server_hostname="localhost") as client:
            client.sendall(request(b"/proxied"))
            assert client.recv(65536).startswith(b"HTTP/1.1 200 ")
    (seen,) = wire.origin.to(b"/proxied")
    assert seen.get(b"x-forwarded-for") == b"192.0.2.7"
    assert JA4.fullmatch(seen.get(b"x-ja4") or b"")


@pytest.mark.parametrize(
    "data", [b"GET / HTTP/1.1\r\n\r\n", b"\x16\x03\x01\x7f\xff", b"\x16\x03\x01\x00\x04\x01\x7f\xff\xff"]
)
def test_what_is_no_hello_gets_nothing_but_an_alert(wire: Wire, data: bytes) -> None:
    with RawClient(wire.direct) as client:
        client.send(data)
        client.finish()
        client.read_to_close(PATIENCE * 4)
        assert client.closed
        assert not client.received.startswith(b"HTTP")


@pytest.mark.parametrize("share", [0, 0.5])
def test_a_hello_that_does_not_come_whole_is_given_up_in_time(wire: Wire, share: float) -> None:
    with RawClient(wire.direct) as client:
        data = hello_of(wire.context)
        client.send(data[: int(len(data) * share)])
        begun = time.monotonic()
        client.read_to_close(PATIENCE * 4)
        assert client.closed
        assert PATIENCE * 0.5 < time.monotonic() - begun < PATIENCE * 3


def test_a_hoard_of_hellos_that_never_end_is_bounded_like_all_connections(wire: Wire) -> None:
    hoard = [socket.create_connection(wire.direct, timeout=5) for _ in range(60)]
    try:
        closed = 0
        for one in hoard[50:]:
            one.settimeout(PATIENCE / 2)
            closed += one.recv(1) == b""
        assert closed == 10
    finally:
        for one in hoard:
            one.close()


def test_nothing_of_this_is_an_error_in_the_log(wire: Wire) -> None:
    assert "Traceback" not in wire.edge.logs()
    assert "ERROR" not in wire.edge.logs().upper().replace("INTERNAL_ERROR", "")
