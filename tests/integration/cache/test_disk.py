"""L2 in real nodes: it outlives them, their workers share it, purges reach it, and reloads change it."""

from __future__ import annotations

import json
import os
import random
import signal
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import Answer
from tests.support.client import RawClient, ask
from tests.support.origin import answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

HIT = b"edgeproxy; hit; detail=l2"
LONG = random.Random(9).randbytes(3_000_000)


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        for number in range(20):
            body = random.Random(number).randbytes(1_000 * number)
            fields = (b"Cache-Control: max-age=600, stale-while-revalidate=600", b"Surrogate-Key: n%d all" % number)
            site.on(b"/%d" % number, answer(200, body, b'ETag: "%d"' % number, *fields))
        site.on(b"/long", answer(200, LONG, b"Cache-Control: max-age=600", b'ETag: "long"'))
        yield site


@pytest.fixture
def settings(site: Site, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    """A configuration whose answers all come from L2 or the origin, unless ``memory`` is given."""

    def settings(*, memory: int = 0, workers: int = 1, **disk: Any) -> dict[str, Any]:
        disk = {"path": str(tmp_path / "l2"), "size": "128MB", **disk}
        return config(site.url, cache={"memory": memory, "disk": disk}, workers=workers, log={"access": False})

    return settings


def get(edge: EdgeProcess, target: bytes, *fields: bytes, method: bytes = b"GET") -> Answer:
    return ask(edge.address, request(target, *fields, b"Connection: close", method=method)).final[0]


def written(edge: EdgeProcess, entries: int) -> None:
    """Wait until L2 has so many answers, and nothing waits."""

    def there() -> bool:
        lines = edge.admin("/metrics")[1].splitlines()
        return f"edgeproxy_cache_disk_entries {entries}.0".encode() in lines

    wait_until(there, f"{entries} answers are written")


def fill(edge: EdgeProcess) -> None:
    for number in range(20):
        assert get(edge, b"/%d" % number).status == 200
    written(edge, 20)


def test_what_was_stored_is_served_after_a_restart_without_the_origin(
    site: Site, settings: Callable[..., dict[str, Any]]
) -> None:
    with EdgeProcess(settings(memory=1_000_000)) as edge:
        fill(edge)
    site.clear()
    with EdgeProcess(settings(memory=1_000_000)) as edge:
        for number in range(20):
            found = get(edge, b"/%d" % number)
            assert (found.get(b"cache-status"), found.body) == (HIT, random.Random(number).randbytes(1_000 * number))
        assert get(edge, b"/7").get(b"cache-status") == b"edgeproxy; hit", "promoted to memory"
        assert get(edge, b"/7", b'If-None-Match: "7"').status == 304
    assert not site.requests


def test_workers_of_a_node_share_it(site: Site, settings: Callable[..., dict[str, Any]]) -> None:
    with EdgeProcess(settings(memory=1_000_000, workers=2)) as edge:
        fill(edge)
        asked = len(site.requests)
        for _ in range(10):  # connections spread over the workers
            for number in range(20):
                assert b"hit" in (get(edge, b"/%d" % number).get(b"cache-status") or b"")
        assert len(site.requests) == asked
        pids = edge.worker_pids()
        os.kill(pids[0], signal.SIGKILL)
        wait_until(lambda: len(edge.worker_pids()) == 2 and edge.worker_pids() != pids, "a new worker has come")
        wait_until(lambda: edge.admin("/readyz")[0] == 200, "it is ready")
        for number in range(20):
            get(edge, b"/%d" % number)
        assert len(site.requests) == asked


def test_a_long_body_is_streamed_from_it_whole_and_in_parts(
    site: Site, settings: Callable[..., dict[str, Any]]
) -> None:
    with EdgeProcess(settings()) as edge:
        assert get(edge, b"/long").body == LONG
        written(edge, 1)
        found = get(edge, b"/long")
        assert (found.get(b"cache-status"), found.get(b"content-length")) == (HIT, b"3000000")
        assert found.body == LONG
        part = get(edge, b"/long", b"Range: bytes=1000000-2000000", b'If-Range: "long"')
        assert (part.status, part.get(b"content-range")) == (206, b"bytes 1000000-2000000/3000000")
        assert part.body == LONG[1_000_000:2_000_001]
        assert get(edge, b"/long", b"Range: bytes=-5").body == LONG[-5:]
        assert get(edge, b"/long", b"Range: bytes=3000000-").status == 416
        assert get(edge, b"/long", b'If-None-Match: "long"').status == 304
        head = get(edge, b"/long", method=b"HEAD")
        assert (head.status, head.get(b"content-length"), head.body) == (200, b"3000000", b"")
        assert len(site.requests) == 1


def test_a_client_that_leaves_in_the_middle_of_a_long_body_leaves_nothing_behind(
    settings: Callable[..., dict[str, Any]],
) -> None:
    with EdgeProcess(settings()) as edge:
        get(edge, b"/long")
        written(edge, 1)
        for _ in range(20):
            with RawClient(edge.address) as client:
                client.send(request(b"/long"))
                client.read_some()
                client.reset()
        assert get(edge, b"/long").body == LONG
        assert "internal error" not in edge.logs()


@pytest.mark.parametrize(
    "order", [b'{"url": "http://a.example/7"}', b'{"tag": "n7"}', b'{"prefix": "http://a.example/7"}']
)
def test_a_purge_reaches_it(site: Site, settings: Callable[..., dict[str, Any]], order: bytes) -> None:
    with EdgeProcess(settings()) as edge:
        fill(edge)
        assert purge(edge, order)["purged"] == 1
        site.clear()
        assert b"fwd=uri-miss" in (get(edge, b"/7").get(b"cache-status") or b"")
        assert get(edge, b"/8").get(b"cache-status") == HIT
        written(edge, 20)
        assert purge(edge, b'{"all": true}')["purged"] == 20
    site.clear()
    with EdgeProcess(settings()) as edge:
        get(edge, b"/8")
    assert len(site.requests) == 1


def test_a_soft_purge_marks_it_stale(site: Site, settings: Callable[..., dict[str, Any]]) -> None:
    with EdgeProcess(settings()) as edge:
        fill(edge)
        assert purge(edge, b'{"host": "a.example", "soft": true}')["purged"] == 20
    site.clear()
    with EdgeProcess(settings()) as edge:
        assert get(edge, b"/7").get(b"cache-status") == b"edgeproxy; hit; detail=stale"  # within stale-while-revalidate
        wait_until(lambda: len(site.to(b"/7")) == 1, "it is revalidated behind the answer")


def purge(edge: EdgeProcess, order: bytes) -> Any:
    asked = urllib.request.Request(f"{edge.admin_url}/purge", order, {"content-type": "application/json"})
    with urllib.request.urlopen(asked, timeout=10) as answered:
        return json.load(answered)


def test_an_unsafe_request_invalidates_it(site: Site, settings: Callable[..., dict[str, Any]]) -> None:
    with EdgeProcess(settings()) as edge:
        fill(edge)
        get(edge, b"/7", b"Content-Length: 0", method=b"POST")
        site.clear()
        get(edge, b"/7")
        assert len(site.requests) == 1


def test_a_reload_changes_its_limits_and_turns_it_off_and_on(
    site: Site, settings: Callable[..., dict[str, Any]]
) -> None:
    with EdgeProcess(settings()) as edge:
        fill(edge)
        reload(edge, settings(size="256MB", inline="10KB"))
        assert get(edge, b"/19").get(b"cache-status") == HIT
        assert get(edge, b"/19").body == random.Random(19).randbytes(19_000)
        off = settings()
        del off["cache"]["disk"]
        reload(edge, off)
        assert b"fwd=uri-miss" in (get(edge, b"/19").get(b"cache-status") or b"")
        reload(edge, settings())
        assert get(edge, b"/19").get(b"cache-status") == HIT
        assert edge.process.poll() is None


def test_a_reload_in_the_middle_of_a_long_body_does_not_cut_it(
    site: Site, settings: Callable[..., dict[str, Any]]
) -> None:
    body = random.Random(3).randbytes(3_900_000)
    site.on(b"/longer", answer(200, body, b"Cache-Control: max-age=600"))
    with EdgeProcess(settings()) as edge:
        get(edge, b"/longer")
        written(edge, 1)
        with RawClient(edge.address, receive_buffer=4_096) as client:
            client.send(request(b"/longer", b"Connection: close"))
            client.read_some()
            reload(edge, settings(size="256MB"))
            (found,) = client.answers(1).final
    assert found.body == body


def reload(edge: EdgeProcess, new: dict[str, Any]) -> None:
    def reloads() -> int:
        return edge.logs().count("configuration reloaded")

    before = reloads()
    edge.write(new)
    edge.reload()
    wait_until(lambda: reloads() > before, "the configuration is reloaded")
