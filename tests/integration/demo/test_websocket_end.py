"""A WebSocket whose one end goes away without a word: the other end learns of it."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from tests.support.processes import EdgeProcess

HANDSHAKE = (
    b"GET /ws HTTP/1.1\r\nHost: demo\r\nUser-Agent: Mozilla/5.0 (X11; Linux x86_64)\r\nConnection: Upgrade\r\n"
    b"Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
SWITCHING = (
    b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n"
    b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n"
)


@pytest.fixture
def ends() -> Iterator[tuple[socket.socket, socket.socket]]:
    """The client's and the origin's end of an open tunnel."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        server.settimeout(10)
        config = {
            "pools": {"site": {"endpoints": [f"http://127.0.0.1:{server.getsockname()[1]}"]}},
            "routes": [{"name": "site", "pool": "site"}],
        }
        with EdgeProcess(config) as edge, socket.create_connection(edge.address, timeout=10) as client:
            client.sendall(HANDSHAKE)
            origin, _ = server.accept()
            with origin:
                origin.settimeout(10)
                while b"\r\n\r\n" not in origin.recv(65536):
                    pass
                origin.sendall(SWITCHING)
                assert client.recv(65536).startswith(b"HTTP/1.1 101 ")
                client.sendall(b"ping")
                assert origin.recv(4) == b"ping"
                yield client, origin


def test_origin_is_told_when_the_client_vanishes(ends: tuple[socket.socket, socket.socket]) -> None:
    client, origin = ends
    client.close()
    assert origin.recv(1) == b""


def test_client_is_told_when_the_origin_vanishes(ends: tuple[socket.socket, socket.socket]) -> None:
    client, origin = ends
    origin.close()
    assert client.recv(1) == b""
