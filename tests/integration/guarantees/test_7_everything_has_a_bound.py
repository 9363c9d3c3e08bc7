"""Guarantee 7: every queue and cache has a bound and a metric; memory stays under its limit at ten times the load.

Seen to fail: with ``Memory._make_room`` of cache/memory.py doing nothing; with pipes that take a gigabyte before they
hold their producer back (http/body.py); with ``Server.admit`` of listener/server.py heeding no limit in all.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator

import pytest

from tests.support.client import RawClient, ask
from tests.support.origin import RecordedRequest, Script, answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

MB = 1_000_000
CACHE = 8 * MB
BLOCK = os.urandom(200_000)
CONNECTIONS = 40


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    def endless(_: RecordedRequest) -> Script:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nCache-Control: no-store\r\n\r\n" % (200 * MB)
        for _ in range(200 * MB // len(BLOCK)):
            yield BLOCK

    site.on(b"/large", endless)
    for number in range(10 * CACHE // len(BLOCK)):
        site.on(b"/kept/%d" % number, answer(200, BLOCK, b"Cache-Control: max-age=600"))
    limits = {"connections": CONNECTIONS}
    with EdgeProcess(config(site.url, cache={"memory": CACHE}, limits=limits, log={"access": False})) as edge:
        yield edge


def test_ten_times_what_the_cache_holds_stays_within_its_limit(edge: EdgeProcess, metric: Callable[..., float]) -> None:
    before = edge.resident()
    with RawClient(edge.address) as client:
        for number in range(10 * CACHE // len(BLOCK)):
            client.send(request(b"/kept/%d" % number))
            assert client.answers(1).final[0].body == BLOCK
            client.received.clear()
    assert CACHE * 0.8 < metric(edge, "edgeproxy_cache_bytes") <= CACHE
    assert metric(edge, "edgeproxy_cache_evictions_total") > 0
    assert edge.resident() - before < 4 * CACHE


def test_clients_that_do_not_read_hold_their_origin_back(edge: EdgeProcess, metric: Callable[..., float]) -> None:
    """Ten of them ask for 2 GB in all, and read nothing."""
    before = edge.resident()
    clients = [RawClient(edge.address, receive_buffer=4096) for _ in range(10)]
    try:
        for client in clients:
            client.send(request(b"/large"))
        wait_until(lambda: metric(edge, "edgeproxy_origin_in_flight") == 10, "all are under way")
        sizes = [edge.resident()]
        wait_until(lambda: sizes.append(edge.resident()) or len(sizes) > 200, "it has had its time")  # type: ignore[func-returns-value]
        assert max(sizes) - before < 40 * MB
        assert ask(edge.address, request()).final[0].status == 200
    finally:
        for client in clients:
            client.reset()


def test_connections_beyond_the_limit_are_closed_and_counted(edge: EdgeProcess, metric: Callable[..., float]) -> None:
    wait_until(lambda: metric(edge, "edgeproxy_connections") == 0, "nobody is connected")
    clients = [RawClient(edge.address) for _ in range(10 * CONNECTIONS)]
    try:
        wait_until(lambda: metric(edge, "edgeproxy_connections_total") >= 10 * CONNECTIONS, "all have been looked at")
        assert metric(edge, "edgeproxy_connections") <= CONNECTIONS
        refused = metric(edge, "edgeproxy_connections_refused_total", 'limit="connections"')
        assert refused + metric(edge, "edgeproxy_connections_evicted_total") >= 9 * CONNECTIONS
    finally:
        for client in clients:
            client.__exit__()
    wait_until(lambda: ask_safely(edge) == 200, "it serves as before")


def ask_safely(edge: EdgeProcess) -> int:
    got = ask(edge.address, request()).final
    return got[0].status if got else 0
