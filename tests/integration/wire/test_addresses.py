"""Where the proxy listens, and who it takes a client to be: IPv6, Unix sockets, the PROXY protocol."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.support.client import RawClient, ask
from tests.support.processes import EdgeProcess
from tests.support.servers import free_port
from tests.support.site import Site, config, request

V2 = b"\r\n\r\n\x00\r\nQUIT\n"


class Wire(NamedTuple):
    edge: EdgeProcess
    origin: Site
    ipv6: tuple[str, int]
    unix: str
    proxied: tuple[str, int]


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    folder: Path = tmp_path_factory.mktemp("sockets")
    unix, v6, proxied = str(folder / "edge.sock"), free_port(), free_port()
    listeners = [
        {"address": f"[::1]:{v6}"},
        {"address": f"unix:{unix}"},
        {"address": f"127.0.0.1:{proxied}", "proxy_protocol": ["127.0.0.1/32"]},
    ]
    limits = {"head_timeout": "1s"}
    with Site() as origin:
        settings = config(origin.url, listeners=listeners, limits=limits, middleware={"bot_check": False})
        with EdgeProcess(settings) as edge:
            yield Wire(edge, origin, ("::1", v6), unix, ("127.0.0.1", proxied))


def _client_seen(wire: Wire, target: bytes) -> bytes | None:
    (seen,) = wire.origin.to(target)
    return seen.get(b"x-forwarded-for")


def test_ipv6(wire: Wire) -> None:
    assert ask(wire.ipv6, request(b"/v6")).statuses == [200]
    assert _client_seen(wire, b"/v6") == b"::1"


def test_a_unix_socket(wire: Wire) -> None:
    assert ask(wire.unix, request(b"/unix")).statuses == [200]
    assert len(wire.origin.to(b"/unix")) == 1


def _v2(command: int, family: int, payload: bytes) -> bytes:
    return V2 + bytes((0x20 | command, family)) + len(payload).to_bytes(2, "big") + payload


_PORTS = (1234).to_bytes(2, "big") + (80).to_bytes(2, "big")
_IPV4 = socket.inet_aton("192.0.2.7") + socket.inet_aton("192.0.2.1") + _PORTS
_IPV6 = socket.inet_pton(socket.AF_INET6, "2001:db8::7") + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + _PORTS

_HEADERS: dict[str, tuple[bytes, bytes]] = {
    "v1 IPv4": (b"192.0.2.7", b"PROXY TCP4 192.0.2.7 192.0.2.1 1234 80\r\n"),
    "v1 IPv6": (b"2001:db8::7", b"PROXY TCP6 2001:db8::7 2001:db8::1 1234 80\r\n"),
    "v1 unknown": (b"127.0.0.1", b"PROXY UNKNOWN\r\n"),
    "v1 unknown with addresses": (b"127.0.0.1", b"PROXY UNKNOWN 192.0.2.7 192.0.2.1 1234 80\r\n"),
    "v2 IPv4": (b"192.0.2.7", _v2(1, 0x11, _IPV4)),
    "v2 IPv6": (b"2001:db8::7", _v2(1, 0x21, _IPV6)),
    "v2 with further fields": (b"192.0.2.7", _v2(1, 0x11, _IPV4 + b"\x03\x00\x04\x00\x00\x00\x00")),
    "v2 local": (b"127.0.0.1", _v2(0, 0x00, b"")),
    "v2 local with addresses": (b"127.0.0.1", _v2(0, 0x11, _IPV4)),
}


@pytest.mark.parametrize("name", _HEADERS)
def test_a_trusted_proxy_is_believed(wire: Wire, name: str) -> None:
    told, header = _HEADERS[name]
    target = b"/told/" + name.replace(" ", "-").encode()
    assert ask(wire.proxied, header + request(target)).statuses == [200]
    assert _client_seen(wire, target) == told


@pytest.mark.parametrize("name", ["v1 IPv4", "v2 IPv4"])
def test_a_header_in_pieces_is_read(wire: Wire, name: str) -> None:
    told, header = _HEADERS[name]
    target = b"/pieces/" + name[:2].encode()
    with RawClient(wire.proxied) as client:
        client.send(*(header[i : i + 1] for i in range(len(header))), request(target))
        assert client.answers(1).statuses == [200]
    assert _client_seen(wire, target) == told


def test_the_connection_is_kept_and_stays_the_same_client(wire: Wire) -> None:
    with RawClient(wire.proxied) as client:
        client.send(_HEADERS["v1 IPv4"][1] + request(b"/kept/1") + request(b"/kept/2"))
        assert client.answers(2).statuses == [200, 200]
    assert _client_seen(wire, b"/kept/2") == b"192.0.2.7"


@pytest.mark.parametrize("name", ["v1 IPv4", "v2 IPv4"])
def test_an_untrusted_address_is_not_believed(wire: Wire, name: str) -> None:
    target = b"/untrusted/" + name[:2].encode()
    with RawClient(wire.proxied, source="127.0.0.2") as client:
        client.send(_HEADERS[name][1] + request(target))
        client.read_to_close()
        assert client.closed
        assert b" 200 " not in client.received
    assert not wire.origin.to(target)


def test_an_untrusted_address_without_a_header_is_a_client_like_any(wire: Wire) -> None:
    with RawClient(wire.proxied, source="127.0.0.2") as client:
        client.send(request(b"/plain"))
        assert client.answers(1).statuses == [200]
    assert _client_seen(wire, b"/plain") == b"127.0.0.2"


@pytest.mark.parametrize(
    "header",
    [
        b"",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 1234\r\n",
        b"PROXY TCP4 192.0.2.777 192.0.2.1 1234 80\r\n",
        b"PROXY TCP4 2001:db8::7 2001:db8::1 1234 80\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 99999 80\r\n",
        b"PROXY TCP4 192.0.2.7 192.0.2.1 1234 80\n",
        b"PROXY " + b"x" * 200 + b"\r\n",
        V2 + b"\x11\x11\x00\x0c" + _IPV4,
        V2 + b"\x21\x11\x00\x04" + _IPV4[:4],
        V2 + b"\x21\x11\xff\xff",
        b"\r\n\r\n\x00\r\nQUIX\n" + b"\x21\x11\x00\x0c" + _IPV4,
    ],
    ids=["none", "short", "address", "family", "port", "LF", "long", "v1 in v2", "v2 short", "v2 long", "signature"],
)
def test_a_trusted_proxy_that_sends_no_valid_header_is_cut_off(wire: Wire, header: bytes) -> None:
    wire.origin.clear()
    with RawClient(wire.proxied) as client:
        client.send(header + request(b"/invalid"))
        client.read_to_close()
        assert client.closed
        assert b" 200 " not in client.received
    assert not wire.origin.to(b"/invalid")


def test_half_a_header_is_waited_for_only_so_long(wire: Wire) -> None:
    with RawClient(wire.proxied) as client:
        client.send(b"PROXY TCP4 192.0.2.7")
        client.read_to_close()
        assert client.closed


def test_the_proxy_serves_on_after_all_that(wire: Wire) -> None:
    assert ask(wire.unix, request()).statuses == [200]
    assert "internal error" not in wire.edge.logs()
    assert "Traceback" not in wire.edge.logs()
