"""Places under way, taken and given back, however the two ends of the proxy come and go."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Any

import pytest

from tests.support.client import RawClient, ask
from tests.support.inprocess import InProcessEdge
from tests.support.origin import Hang, RecordedRequest, answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

NO_KEYS = b"edgeproxy_concurrency_limit_keys 0"
KEPT = b"Cache-Control: max-age=600"

# Routes by the first segment of their paths.
LIMITS: dict[str, dict[str, Any]] = {
    "two": {"most": 2},
    "one": {"most": 1},
    "keyed": {"most": 1, "key": "header:x-api-key"},
    "pages": {"most": 1, "key": "route"},
}


class Wire:
    """The proxy, and a site whose slow targets answer when they are let go."""

    def __init__(self, edge: EdgeProcess, site: Site) -> None:
        self.edge = edge
        self.site = site
        self.go = threading.Event()
        self._slow_ones = 0

    def slow(self, route: bytes, *fields: bytes) -> bytes:
        """A request for a slow target of its own: those for the same one would wait for each other at the cache."""
        self._slow_ones += 1
        return request(self.site.on(b"/%b/slow/%d" % (route, self._slow_ones), self._answer), *fields)

    def _answer(self, _: RecordedRequest) -> bytes:
        self.go.wait(20)
        return answer(200, b"slow", b"Cache-Control: no-store")

    def begin(self, stack: ExitStack, head: bytes) -> RawClient:
        """A request that has come as far as the site."""
        seen = len(self.site.requests)
        client = stack.enter_context(RawClient(self.edge.address))
        client.send(head)
        wait_until(lambda: len(self.site.requests) > seen, "the site has the request")
        return client

    def status(self, route: bytes, *fields: bytes) -> int:
        (got,) = ask(self.edge.address, request(b"/%b/" % route, *fields, b"Connection: close")).final
        return got.status

    def emptied(self) -> None:
        wait_until(lambda: NO_KEYS in self.edge.admin("/metrics")[1], "nothing is under way any more")


@pytest.fixture(scope="module")
def served() -> Iterator[tuple[EdgeProcess, Site]]:
    with Site() as site:
        settings = config(site.url, workers=1, middleware={"bot_check": False})
        settings["routes"] = [
            {
                "name": name,
                "match": {"path": f"/{name}/"},
                "pool": "site",
                "middleware": {"concurrency_limit": limit, "prefetch": name == "pages"},
            }
            for name, limit in LIMITS.items()
        ]
        with EdgeProcess(settings) as edge:
            yield edge, site


@pytest.fixture
def wire(served: tuple[EdgeProcess, Site]) -> Iterator[Wire]:
    wire = Wire(*served)
    try:
        yield wire
    finally:
        wire.go.set()
    wire.emptied()


def test_what_is_over_is_refused_at_once_and_let_in_when_an_answer_is_out(wire: Wire) -> None:
    with ExitStack() as stack:
        clients = [wire.begin(stack, wire.slow(b"two")) for _ in range(2)]
        (refused,) = ask(wire.edge.address, request(b"/two/", b"Connection: close")).final
        assert (refused.status, refused.get(b"retry-after")) == (429, b"1")
        assert refused.get(b"ratelimit-policy") == b'"default";q=2;qu="concurrent-requests"'
        assert refused.get(b"ratelimit") == b'"default";r=0'
        wire.go.set()
        assert [client.answers(1).statuses for client in clients] == [[200], [200]]
        assert wire.status(b"two") == 200


def test_clients_that_leave_before_their_answer_give_their_places_back(wire: Wire) -> None:
    with ExitStack() as stack:
        clients = [wire.begin(stack, wire.slow(b"two")) for _ in range(2)]
        assert wire.status(b"two") == 429
        for client in clients:
            client.reset()
        wire.emptied()
        assert wire.status(b"two") == 200


def test_a_client_that_is_gone_before_its_exchange_has_had_a_turn_gives_its_place_back() -> None:
    stages = {"bot_check": False, "cache": False, "concurrency_limit": {"most": 1, "key": "route"}}
    with Site() as site, InProcessEdge(config(site.url, middleware=stages)) as proxy, RawClient(proxy.address):

        async def comes_and_goes() -> None:
            (connection,) = proxy.server._connections
            connection.data_received(request(b"/"))
            transport = connection.transport
            connection.connection_lost(None)
            transport.set_protocol(asyncio.Protocol())  # it has been told already
            transport.abort()

        wait_until(lambda: len(proxy.server._connections) == 1, "the client is connected")
        proxy.run(comes_and_goes())
        proxy.settle()
        (got,) = ask(proxy.address, request(b"/", b"Connection: close")).final
        assert got.status == 200
        assert proxy.faults == []


def test_clients_that_have_said_all_hold_their_places_until_they_are_answered(wire: Wire) -> None:
    with ExitStack() as stack:
        client = wire.begin(stack, wire.slow(b"one"))
        client.finish()
        assert wire.status(b"one") == 429
        wire.go.set()
        assert client.answers(1).statuses == [200]


def test_clients_that_leave_with_requests_still_in_the_queue_give_their_places_back(wire: Wire) -> None:
    wire.site.on(b"/two/kept", answer(200, b"kept", KEPT))
    for _ in range(20):
        with RawClient(wire.edge.address) as client:
            client.send(request(b"/two/kept") * 8 + b"".join(wire.slow(b"two") for _ in range(8)))
            client.reset()
    wire.go.set()  # who has more to say is not listened to, so that it left shows when it is answered
    wire.emptied()
    assert wire.status(b"two") == 200


def test_a_download_holds_its_place_to_its_last_byte_or_until_the_client_leaves(wire: Wire) -> None:
    def endless(_: RecordedRequest) -> Iterator[bytes | Hang]:
        yield b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\nContent-Length: 100000000\r\n\r\n"
        yield b"x" * 10_000
        wire.go.wait(20)
        yield Hang.RESET

    wire.site.on(b"/one/endless", endless)
    with ExitStack() as stack:
        client = wire.begin(stack, request(b"/one/endless"))
        client.read_until(lambda received: len(received) > 10_000)
        assert wire.status(b"one") == 429
        client.reset()
        wire.emptied()
        client = wire.begin(stack, request(b"/one/endless"))
        assert wire.status(b"one") == 429
        wire.go.set()
        client.read_to_close()
        wire.emptied()


def test_a_websocket_holds_its_place_until_it_ends(wire: Wire) -> None:
    upgrade = (b"Connection: Upgrade", b"Upgrade: websocket", b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: a")

    def switch(_: RecordedRequest) -> Iterator[bytes | Hang]:
        yield b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n"
        wire.go.wait(20)
        yield Hang.CLOSE

    wire.site.on(b"/one/ws", switch)
    with ExitStack() as stack:
        for client_leaves in (True, False):
            client = wire.begin(stack, request(b"/one/ws", *upgrade))
            client.read_until(lambda received: b"\r\n\r\n" in received)
            assert client.received.startswith(b"HTTP/1.1 101 ")
            assert wire.status(b"one") == 429
            if client_leaves:
                client.reset()
            else:
                wire.go.set()
            wire.emptied()


def test_answers_of_origins_that_break_give_their_places_back(wire: Wire) -> None:
    for target, script in (
        (b"/two/reset", [Hang.RESET]),
        (b"/two/half", [b"HTTP/1.1 200 OK\r\nContent-Le", Hang.CLOSE]),
    ):
        wire.site.on(target, lambda _, script=script: script)
        for _ in range(4):
            (got,) = ask(wire.edge.address, request(target, b"Connection: close")).final
            assert got.status in (502, 503)
    wire.emptied()


def test_what_prefetch_fetches_holds_no_place(wire: Wire) -> None:
    page = answer(200, b"page", KEPT, b"Content-Type: text/html", b"Link: </pages/app.css>; rel=preload")
    wire.site.on(b"/pages/page", page)
    wire.site.on(b"/pages/app.css", answer(200, b"css", KEPT, b"Content-Type: text/css"))
    ask(wire.edge.address, request(b"/pages/page", b"Connection: close"))
    wait_until(lambda: wire.site.to(b"/pages/app.css") != [], "the page's file is fetched")
    wire.emptied()
    assert wire.status(b"pages") == 200


def test_each_key_has_its_own_places(wire: Wire) -> None:
    with ExitStack() as stack:
        wire.begin(stack, wire.slow(b"keyed", b"X-Api-Key: a"))
        assert [wire.status(b"keyed", b"X-Api-Key: " + key) for key in (b"a", b"b")] == [429, 200]
