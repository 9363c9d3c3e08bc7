"""What a connection leaves behind: nothing that only a collection of garbage would free.

Seen to fail: with the transport kept after the end (TLS: 300 KB each until the collector came), with the parser kept.
"""

from __future__ import annotations

import gc
import socket
import ssl
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

from edgeproxy.listener.client import Client
from tests.support.certificates import Authority
from tests.support.client import RawClient
from tests.support.http2_client import Http2Client
from tests.support.inprocess import InProcessEdge
from tests.support.origin import answer
from tests.support.ports import wait_until
from tests.support.site import Site, config, request

CLIENTS = 5


class Wire(NamedTuple):
    plain: InProcessEdge
    secure: InProcessEdge
    authority: Path


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    authority = Authority(tmp_path_factory.mktemp("partings"))
    certificate, key = map(str, authority.issue("localhost"))
    tls = {"certificates": [{"certificate": certificate, "key": key}]}
    with Site() as site:
        site.on(b"/kept", answer(200, b"kept", b"Cache-Control: max-age=600"))
        settings = config(site.url, middleware={"bot_check": False, "flood": False})
        plain = {"address": "127.0.0.1:1", "protocols": ["h1", "h2"]}
        secure = {"address": "127.0.0.1:1", "tls": tls}
        with (
            InProcessEdge(settings | {"listeners": [plain]}) as one,
            InProcessEdge(settings | {"listeners": [secure]}) as other,
        ):
            yield Wire(one, other, authority.file)
            assert [*one.faults, *other.faults] == []


def a_hit(wire: Wire) -> None:
    with RawClient(wire.plain.address) as client:
        client.send(request(b"/kept"))
        assert client.answers(1).statuses == [200]


def a_request_with_a_body(wire: Wire) -> None:
    with RawClient(wire.plain.address) as client:
        client.send(request(b"/passed", b"Content-Length: 4", method=b"POST"), b"body")
        assert client.answers(1).statuses == [200]


def a_miss(wire: Wire) -> None:
    with RawClient(wire.plain.address) as client:
        client.send(request(b"/passed"))
        assert client.answers(1).statuses == [200]


def half_a_head(wire: Wire) -> None:
    with RawClient(wire.plain.address) as client:
        client.send(b"POST / HT")
        wire.plain.settle()


def nothing(wire: Wire) -> None:
    with RawClient(wire.plain.address):
        wire.plain.settle()


def a_hit_over_http2(wire: Wire) -> None:
    with Http2Client(wire.plain.address) as client:
        assert client.get(b"/kept").body == b"kept"


def a_hit_over_tls(wire: Wire) -> None:
    with socket.create_connection(wire.secure.address, timeout=10) as raw, secured(wire, raw) as client:
        client.sendall(request(b"/kept"))
        assert client.recv(1000).startswith(b"HTTP/1.1 200 ")


def a_hit_over_tls_and_http2(wire: Wire) -> None:
    with Http2Client(wire.secure.address, context=trusting(wire, "h2")) as client:
        assert client.get(b"/kept").body == b"kept"


def half_a_handshake(wire: Wire) -> None:
    with socket.create_connection(wire.secure.address, timeout=10) as client:
        client.sendall(b"\x16\x03\x01")
        wire.secure.settle()


def trusting(wire: Wire, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(wire.authority))
    context.set_alpn_protocols(protocols)
    return context


def secured(wire: Wire, raw: socket.socket) -> ssl.SSLSocket:
    return trusting(wire, "http/1.1").wrap_socket(raw, server_hostname="localhost")


def left() -> list[str]:
    """Of connections that were accepted here, whatever is still there."""
    return [repr(one) for one in gc.get_objects() if isinstance(one, Client) or type(one).__name__ == "SSLProtocol"]


@pytest.mark.parametrize(
    "visit",
    [
        a_hit,
        a_request_with_a_body,
        a_miss,
        half_a_head,
        nothing,
        a_hit_over_http2,
        a_hit_over_tls,
        a_hit_over_tls_and_http2,
        half_a_handshake,
    ],
)
def test_a_connection_that_is_over_leaves_nothing_to_be_collected(wire: Wire, visit: Callable[[Wire], None]) -> None:
    visit(wire)  # what is made once is made
    gc.collect()
    gc.disable()
    try:
        for _ in range(CLIENTS):
            visit(wire)
        wait_until(lambda: not left(), "all is let go of")
    finally:
        gc.enable()
