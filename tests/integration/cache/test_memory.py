"""L1's limit, as the operating system counts: what a worker has resident over an empty one.

Long: ``python -m pytest -s -m bench tests/integration/cache/test_memory.py`` churns for ten minutes and prints the
figures.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from tests.integration.cache import churn
from tests.integration.cache.churn import Sizes
from tests.support.client import RawClient
from tests.support.origin import RecordedRequest
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess, resident
from tests.support.site import Site, config, request

MB = 1_000_000
LIMIT = 256 * MB
MOST = 1.05  # of the limit

STAGES = {"rate_limit": False, "bot_check": False, "compression": False}


def _churned(folder: Path, seconds: float) -> Sizes:
    with churn.origin(folder) as origin:
        settings = config(origin.url, cache={"memory": LIMIT}, middleware=STAGES, log={"access": False})
        with EdgeProcess(settings) as edge:
            return churn.churn(edge, seconds)


def _check(sizes: Sizes) -> None:
    assert sizes.passed > 10 * LIMIT, "too little came through to tell anything"
    assert sizes.last - sizes.empty > 0.7 * LIMIT, "the cache was not full"
    assert sizes.last - sizes.empty < MOST * LIMIT, sizes


@pytest.mark.slow
def test_what_is_resident_stays_within_the_limit_while_bodies_of_all_sizes_come_and_go(tmp_path: Path) -> None:
    _check(_churned(tmp_path, 60))


@pytest.mark.bench
def test_what_is_resident_after_ten_minutes_of_churn(tmp_path: Path) -> None:
    sizes = _churned(tmp_path, 600)
    over = {"last": sizes.last - sizes.empty, "most": sizes.most - sizes.empty}
    print(
        f"empty worker {sizes.empty / MB:.0f} MB; {sizes.passed / 1e9:.0f} GB passed; over empty, of {LIMIT / MB:.0f}:"
    )
    print(", ".join(f"{name} {size / MB:.0f} MB, {size / LIMIT:.1%}" for name, size in over.items()))
    _check(sizes)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


def test_more_bodies_on_their_way_than_the_cache_can_hold_are_passed_on_and_not_held(site: Site) -> None:
    """Clients that read nothing, of 40 bodies of 3 MB with a limit of 8 MB: all of it would be 120 MB."""
    count, size, limit = 40, 3 * MB, 8 * MB
    ended = threading.Event()

    def large(_: RecordedRequest) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nCache-Control: max-age=600\r\nContent-Length: %d\r\n\r\n" % size
        for _ in range(size // 100_000):
            yield bytes(100_000)
        ended.set()

    for number in range(count):
        site.on(b"/large/%d" % number, large)
    settings = config(site.url, cache={"memory": limit}, middleware=STAGES, limits={"connections_per_client": 100})
    with EdgeProcess(settings) as edge, ThreadPoolExecutor(count) as pool, ExitStack() as lines:
        (worker,) = edge.worker_pids()
        empty = resident(worker)
        clients = [lines.enter_context(RawClient(edge.address, receive_buffer=4096)) for _ in range(count)]
        for number, client in enumerate(clients):
            client.send(request(b"/large/%d" % number))
        wait_until(lambda: len(site.requests) == count, "all are asked for")
        wait_until(ended.is_set, "some have arrived")
        wait_until(lambda: _steady(worker), "nothing comes any more", 20)
        held = resident(worker) - empty
        assert held < limit + count * MB, f"{held / MB:.0f} MB"
        whole = list(pool.map(lambda client: client.read_until(lambda got: _body(got) >= size, 30), clients))
        assert [_body(got) for got in whole] == [size] * count


def _body(received: bytes | bytearray) -> int:
    """Bytes of body there are."""
    return len(received) - received.index(b"\r\n\r\n") - 4 if b"\r\n\r\n" in received[:4096] else 0


def _steady(pid: int) -> bool:
    """Whether a process has stopped growing, for half a second."""
    before = resident(pid)
    threading.Event().wait(0.5)
    return resident(pid) - before < 200_000
