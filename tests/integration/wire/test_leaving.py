"""Clients that leave over TLS while they are answered: nothing goes on for them, and no line of the log is about it."""

from __future__ import annotations

import contextlib
import socket
import ssl
import struct
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.client import RawClient
from tests.support.http2_client import Http2Client
from tests.support.http3 import Http3Site
from tests.support.origin import RecordedRequest, answer
from tests.support.servers import wait_until
from tests.support.site import request

BLOCK = bytes(64 * 1024)
LATE = 12  # answers that come when the client has left; uvloop complains of the sixth write


@pytest.fixture(scope="module")
def site() -> Iterator[Http3Site]:
    with Http3Site() as site:
        yield site


def complaints(site: Http3Site) -> list[str]:
    return [line for line in site.edge.logs().splitlines() if not line.startswith("{") and " info " not in line]


def close_notify(client: socket.socket) -> None:
    """Say the end of TLS, and keep the connection, of which nothing is read."""
    assert isinstance(client, ssl.SSLSocket)
    client.settimeout(0)
    with contextlib.suppress(ssl.SSLError, OSError):
        client.unwrap()


def reset(client: socket.socket) -> None:
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


LEAVE = pytest.mark.parametrize("leave", [close_notify, reset])


class Endless:
    """An answer without end at an origin; ``sent`` counts the bytes that were taken."""

    def __init__(self) -> None:
        self.sent = 0

    def __call__(self, _: RecordedRequest) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 100000000000\r\n\r\n"
        while True:
            yield BLOCK
            self.sent += len(BLOCK)

    def stands(self) -> bool:
        """Whether it has begun and nobody takes any more."""
        before = self.sent
        return before > 0 and not threading.Event().wait(0.3) and before == self.sent


@LEAVE
def test_a_client_of_http1_that_leaves_frees_the_origin(
    site: Http3Site, leave: Callable[[socket.socket], None]
) -> None:
    endless = Endless()
    site.site.on(b"/endless", endless)
    site.site.aborted.clear()
    with RawClient(site.address, tls=site.context(), timeout=20) as client:
        client.send(request(b"/endless"))
        wait_until(endless.stands, "the answer waits for the client")
        leave(client.socket)
        assert site.site.aborted.wait(10), "the origin goes on sending to nobody"
    assert complaints(site) == []


@LEAVE
def test_a_client_of_http2_that_leaves_frees_all_its_origins(
    site: Http3Site, leave: Callable[[socket.socket], None]
) -> None:
    endless, go_on = Endless(), threading.Event()

    def late(_: RecordedRequest) -> bytes:
        go_on.wait(20)
        return answer(200, b"late")

    site.site.on(b"/endless", endless)
    targets = [site.site.on(b"/late?%b=%d" % (leave.__name__.encode(), number), late) for number in range(LATE)]
    site.site.aborted.clear()
    context = site.context()
    context.set_alpn_protocols(["h2"])
    with Http2Client(site.address, context=context, window=1 << 30, takes=False) as client:
        client.h2.increment_flow_control_window(1 << 30)
        for target in targets:
            client.ask(target)
        wait_until(lambda: all(site.site.to(target) for target in targets), "they are at the origin")
        client.ask(b"/endless")
        wait_until(endless.stands, "the answer waits for the client")
        leave(client.socket)
        go_on.set()
        assert site.site.aborted.wait(10), "the origin goes on sending to nobody"
    with RawClient(site.address, tls=site.context()) as other:
        other.send(request(b"/after"))
        assert other.answers(1).final[0].status == 200
    assert complaints(site) == []
