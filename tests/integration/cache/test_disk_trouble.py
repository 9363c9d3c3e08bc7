"""L2 on disks that are full, read-only or damaged: it is said, the node serves on, and what can heal heals."""

from __future__ import annotations

import os
import random
import resource
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.answers import Answer
from tests.support.client import ask
from tests.support.disk import overwrite
from tests.support.origin import RecordedRequest, answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

HIT = b"edgeproxy; hit; detail=l2"
PAGE = 4_096
NUMBERS = 60


def body(number: int) -> bytes:
    return random.Random(number).randbytes(40_000)


def numbered(asked: RecordedRequest) -> bytes:
    return answer(200, body(int(asked.target[1:])), b"Cache-Control: max-age=600")


@pytest.fixture
def site() -> Iterator[Site]:
    with Site() as site:
        for number in range(2_000):
            site.on(b"/%d" % number, numbered)
        yield site


@pytest.fixture
def settings(site: Site, tmp_path: Path) -> Callable[..., dict[str, Any]]:
    def settings(path: Path = tmp_path / "l2", *, memory: int = 0, workers: int = 1) -> dict[str, Any]:
        disk = {"path": str(path), "size": "64MB"}
        return config(site.url, cache={"memory": memory, "disk": disk}, workers=workers, log={"access": False})

    return settings


def get(edge: EdgeProcess, number: int) -> Answer:
    (found,) = ask(edge.address, request(b"/%d" % number, b"Connection: close")).final
    assert (found.status, found.body) == (200, body(number))
    return found


def hits(edge: EdgeProcess, numbers: range = range(NUMBERS)) -> int:
    return sum(get(edge, number).get(b"cache-status") == HIT for number in numbers)


def metric(edge: EdgeProcess, name: str) -> float:
    lines = edge.admin("/metrics")[1].decode().splitlines()
    return sum(float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith(name))


def fill(edge: EdgeProcess, numbers: range = range(NUMBERS)) -> None:
    for number in numbers:
        get(edge, number)
    wait_until(lambda: metric(edge, "edgeproxy_cache_disk_entries") >= len(numbers), "all are written")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MB."""
    folder = tmp_path / "small"
    folder.mkdir()
    mounting = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", folder], capture_output=True, check=False
    )
    if mounting.returncode:
        pytest.skip("only root may mount a small disk")
    try:
        yield folder
    finally:
        subprocess.run(["umount", "-l", folder], check=True)


def test_on_a_full_disk_it_makes_do_with_the_room_there_is(
    settings: Callable[..., dict[str, Any]], small_disk: Path
) -> None:
    with EdgeProcess(settings(small_disk / "l2")) as edge:
        pids = edge.worker_pids()
        fill(edge)
        (small_disk / "others").write_bytes(b"x" * os.statvfs(small_disk).f_bavail * PAGE)
        for number in range(100, 500):
            get(edge, number)
        wait_until(lambda: hits(edge, range(495, 500)) == 5, "what is new takes the place of what is old")
        assert edge.worker_pids() == pids
        assert metric(edge, "edgeproxy_cache_evictions_total") > 200
        assert edge.logs().count("cannot grow: [Errno 28] No space left on device (0.0 MB free on the disk)") == 1
        assert metric(edge, "edgeproxy_cache_disk_up") == 1
        assert "internal error" not in edge.logs()


def test_a_file_that_may_not_grow_is_used_as_it_is(settings: Callable[..., dict[str, Any]], tmp_path: Path) -> None:
    with EdgeProcess(settings()) as edge:
        fill(edge)
        (pid,) = edge.worker_pids()
        length = (tmp_path / "l2" / "l2" / "data.mdb").stat().st_size
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (length, resource.RLIM_INFINITY))
        for number in range(100, 300):
            get(edge, number)
        wait_until(lambda: hits(edge, range(295, 300)) == 5, "what is new takes the place of what is old")
        assert (tmp_path / "l2" / "l2" / "data.mdb").stat().st_size == length
        assert edge.logs().count("cannot grow: [Errno 27] File too large") == 1
        assert edge.worker_pids() == [pid]


def test_a_disk_that_takes_nothing_is_read_on_and_written_to_when_it_can_be_again(
    settings: Callable[..., dict[str, Any]],
) -> None:
    with EdgeProcess(settings()) as edge:
        fill(edge)
        (pid,) = edge.worker_pids()
        resource.prlimit(
            pid, resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY)
        )  # where answers would be written to
        for number in range(100, 130):
            get(edge, number)
        wait_until(lambda: metric(edge, "edgeproxy_cache_dropped_total") > 0, "some are dropped")
        assert metric(edge, "edgeproxy_cache_disk_up") == 0
        assert hits(edge) == NUMBERS
        assert edge.logs().count("MB free on the disk); serving on without") == 1
        resource.prlimit(pid, resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))

        def heals() -> bool:
            get(edge, 500)
            return "works again" in edge.logs()

        wait_until(heals, "it works again", 20)
        wait_until(lambda: hits(edge, range(500, 501)) == 1, "what is new is kept")
        assert edge.worker_pids() == [pid]


@pytest.mark.slow
def test_a_disk_that_is_read_only_is_said_and_the_node_serves(
    site: Site, settings: Callable[..., dict[str, Any]], small_disk: Path
) -> None:
    subprocess.run(["mount", "-o", "remount,ro", small_disk], check=True)
    with EdgeProcess(settings(small_disk / "l2", memory=1_000_000)) as edge:
        get(edge, 1)
        assert get(edge, 1).get(b"cache-status") == b"edgeproxy; hit"
        assert edge.logs().count("Read-only file system") == 1
        assert metric(edge, "edgeproxy_cache_disk_up") == 0
        subprocess.run(["mount", "-o", "remount,rw", small_disk], check=True)
        wait_until(lambda: "works again" in edge.logs(), "it heals", 20)
        get(edge, 2)
        wait_until(lambda: metric(edge, "edgeproxy_cache_disk_entries") == 1, "it is kept")


def test_a_place_that_is_no_folder_is_said_and_the_node_serves(
    site: Site, settings: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    (tmp_path / "file").touch()
    with EdgeProcess(settings(tmp_path / "file")) as edge:
        get(edge, 1)
        assert f"disk cache {tmp_path / 'file'}:" in edge.logs()


@pytest.mark.parametrize(
    "damage",
    [
        pytest.param(lambda data: overwrite(data, 0, os.urandom(2 * PAGE)), id="meta pages"),
        pytest.param(lambda data: os.truncate(data, 1_000_000), id="a part left", marks=pytest.mark.slow),
        pytest.param(lambda data: os.truncate(data, 1_000), id="a little left", marks=pytest.mark.slow),
        pytest.param(
            lambda data: overwrite(data, 0, os.urandom(data.stat().st_size)),
            id="nothing but garbage",
            marks=pytest.mark.slow,
        ),
    ],
)
def test_a_damaged_file_is_moved_aside_at_the_start(
    site: Site, settings: Callable[..., dict[str, Any]], tmp_path: Path, damage: Callable[[Path], None]
) -> None:
    with EdgeProcess(settings()) as edge:
        fill(edge)
    damage(tmp_path / "l2" / "l2" / "data.mdb")
    with EdgeProcess(settings(workers=2)) as edge:
        assert hits(edge) == 0
        assert edge.logs().count("is damaged") == 1
        assert (tmp_path / "l2" / "l2.damaged" / "data.mdb").exists()
        wait_until(lambda: hits(edge) == NUMBERS, "the new one is filled")


def test_garbage_among_the_bodies_costs_misses_and_never_a_wrong_byte(
    site: Site, settings: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    with EdgeProcess(settings()) as edge:
        fill(edge)
    data = tmp_path / "l2" / "l2" / "data.mdb"
    content = data.read_bytes()
    damaged = 0
    for number in range(0, NUMBERS, 4):
        at = content.find(body(number)[5_000:5_100])
        if at >= 0:
            overwrite(data, at + 50, b"\0" * 20)
            damaged += 1
    assert damaged > 10
    with EdgeProcess(settings()) as edge:
        assert hits(edge) == NUMBERS - damaged
        wait_until(lambda: hits(edge) == NUMBERS, "they are back")


def test_a_file_cut_under_a_running_node_is_replaced(
    site: Site, settings: Callable[..., dict[str, Any]], tmp_path: Path
) -> None:
    """Reading what is gone ends the worker (SIGBUS); the one that takes its place finds out and begins anew."""
    with EdgeProcess(settings()) as edge:
        fill(edge)
        os.truncate(tmp_path / "l2" / "l2" / "data.mdb", 3 * PAGE)

        def heals() -> bool:
            try:
                return hits(edge) == NUMBERS
            except (OSError, ValueError, AssertionError):
                return False  # the worker has just gone

        wait_until(heals, "it is replaced and filled", 30)
        assert "is damaged" in edge.logs() or "opening it anew" in edge.logs()
