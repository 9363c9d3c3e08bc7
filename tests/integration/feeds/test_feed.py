"""Feeds kept fresh: from real servers and files, through outages, damage and restarts."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from pytest_aiohttp.plugin import AiohttpServer

from edgeproxy.clock import ManualClock
from edgeproxy.feeds.feed import LARGE, FileFeed, Reading, UrlFeed
from edgeproxy.feeds.judge import Listed
from edgeproxy.feeds.parse import Broadest
from tests.support.publisher import Publisher

DAY = 86_400.0


class Worker:
    """What one worker makes of a feed; :meth:`look` is one round of its background work."""

    def __init__(self, clock: ManualClock, make: Callable[[Reading], UrlFeed | FileFeed]) -> None:
        self.listed = Listed("bad", 3)
        self.outcomes: list[str] = []
        self.changes = 0
        reading = Reading(
            self.listed, "auto", Broadest(), clock, self._changed, lambda _, told: self.outcomes.append(told)
        )
        self.feed = make(reading)

    def _changed(self) -> None:
        self.changes += 1

    def names(self, address: str = "192.0.2.7") -> bool:
        return address in self.listed.addresses


class Node:
    """A node with its folder, a publisher, and as many workers as are asked for."""

    def __init__(self, publisher: Publisher, url: str, session: aiohttp.ClientSession, folder: Path) -> None:
        self.publisher = publisher
        self.clock = ManualClock()
        self.folder = folder
        self._url = url
        self._session = session

    def worker(self) -> Worker:
        return Worker(self.clock, lambda reading: UrlFeed(reading, self._url, DAY, self.folder, lambda: self._session))


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def node(session: aiohttp.ClientSession, aiohttp_server: AiohttpServer, tmp_path: Path) -> Node:
    publisher = Publisher()
    server = await aiohttp_server(publisher.app())
    return Node(publisher, str(server.make_url("/list")), session, tmp_path / "feeds")


async def test_a_list_is_fetched_once_a_period_with_its_validators(node: Node) -> None:
    worker = node.worker()
    for _ in range(3):
        await worker.feed.look()
    assert worker.names()
    assert node.publisher.answered == [200]
    node.clock.advance(DAY)
    await worker.feed.look()
    assert node.publisher.answered == [200, 304]
    assert (worker.outcomes, worker.changes) == (["ok", "unchanged"], 1)
    assert worker.feed.confirmed == node.clock.wall()
    node.publisher.content = b"198.51.100.0/24\n"
    node.clock.advance(DAY)
    await worker.feed.look()
    assert (worker.names(), worker.names("198.51.100.7")) == (False, True)


async def test_one_worker_asks_for_all_and_a_restart_asks_nobody(node: Node) -> None:
    workers = [node.worker() for _ in range(4)]
    await asyncio.gather(*(worker.feed.look() for worker in workers))
    await asyncio.gather(*(worker.feed.look() for worker in workers))
    assert all(worker.names() for worker in workers)
    node.publisher.content += b"198.51.100.0/24\n"
    node.clock.advance(DAY)
    for worker in workers:
        await worker.feed.look()
    await workers[0].feed.look()
    assert all(worker.names("198.51.100.7") for worker in workers)
    restarted = node.worker()
    await restarted.feed.look()
    assert restarted.names("198.51.100.7")
    assert node.publisher.answered == [200, 200]


@pytest.mark.parametrize("status", [500, 301, 404])
async def test_the_last_list_stays_while_its_source_is_away(
    node: Node, status: int, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    worker = node.worker()
    await worker.feed.look()
    node.publisher.status = status
    node.clock.advance(DAY)
    for _ in range(12):
        await worker.feed.look()
        node.clock.advance(20)
    assert worker.names()
    assert worker.outcomes == ["ok", "failed", "failed", "failed", "failed"]  # at 0, 30, 90 and 210 seconds
    assert [record.levelname for record in caplog.records if record.name == "edgeproxy"] == ["INFO", "WARNING"]
    node.publisher.status = 200
    node.clock.advance(3_600)
    await worker.feed.look()
    assert worker.outcomes[-1] == "unchanged"
    assert "is back" in caplog.text


async def test_a_first_list_is_tried_for_sooner(node: Node) -> None:
    node.publisher.status = 500
    worker = node.worker()
    for _ in range(15):
        await worker.feed.look()
        node.clock.advance(1)
    assert worker.outcomes == ["failed"] * 4  # at 0, 2, 6 and 14 seconds
    node.publisher.status = 200
    node.clock.advance(20)
    await worker.feed.look()
    assert worker.names()


async def test_a_restart_while_the_source_is_away_has_the_last_list(node: Node) -> None:
    await node.worker().feed.look()
    node.publisher.status = 503
    node.clock.advance(DAY)
    restarted = node.worker()
    await restarted.feed.look()
    assert restarted.names()
    assert restarted.outcomes == ["failed"]


async def test_a_server_that_is_down_is_not_told_the_secrets_of_the_url(
    tmp_path: Path, session: aiohttp.ClientSession, caplog: pytest.LogCaptureFixture
) -> None:
    url = "http://127.0.0.1:1/list?key=verysecret"
    worker = Worker(ManualClock(), lambda reading: UrlFeed(reading, url, DAY, tmp_path, lambda: session))
    await worker.feed.look()
    assert worker.outcomes == ["failed"]
    assert "no list yet" in caplog.text
    assert "verysecret" not in caplog.text + "".join(path.read_text() for path in files(tmp_path))


LARGE_LIST = b"".join(b"10.0.%d.0/24\n" % number for number in range(LARGE))


@pytest.mark.parametrize(
    "damaged",
    [b"", b"# nothing\n", b"<html>maintenance</html>", b"0.0.0.0/0\n", LARGE_LIST[:100], LARGE_LIST[:100] + b"\0"],
)
async def test_a_damaged_list_leaves_the_one_there_was(node: Node, damaged: bytes) -> None:
    node.publisher.content = LARGE_LIST
    worker = node.worker()
    await worker.feed.look()
    node.publisher.content = damaged
    node.clock.advance(DAY)
    await worker.feed.look()
    assert worker.names("10.0.99.1")
    assert worker.outcomes == ["ok", "refused"]
    restarted = node.worker()
    await restarted.feed.look()
    assert restarted.names("10.0.99.1")


async def test_a_small_list_may_become_empty(node: Node) -> None:
    worker = node.worker()
    await worker.feed.look()
    node.publisher.content = b"# nobody today\n"
    node.clock.advance(DAY)
    await worker.feed.look()
    assert not worker.names()


async def test_a_kept_list_that_is_damaged_is_fetched_anew(node: Node) -> None:
    await node.worker().feed.look()
    damage(node.folder)
    restarted = node.worker()
    await restarted.feed.look()
    assert restarted.names()
    assert node.publisher.answered == [200, 200]


async def test_a_clock_that_was_set_back_does_not_stop_the_refresh(node: Node) -> None:
    worker = node.worker()
    await worker.feed.look()
    node.clock.advance(-1_000_000)
    await worker.feed.look()
    assert node.publisher.answered == [200, 304]


async def test_a_folder_that_cannot_be_written_asks_no_more_often(node: Node, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    worker = node.worker()
    for _ in range(5):
        await worker.feed.look()
    assert worker.names()
    assert node.publisher.answered == [200]


async def test_it_works_in_the_background_until_it_is_stopped(node: Node) -> None:
    worker = node.worker()
    await worker.feed.start()
    assert worker.names()
    await worker.feed.stop()
    assert [task for task in asyncio.all_tasks() if "Feed" in repr(task)] == []


# -- files --


def files(folder: Path) -> list[Path]:
    return list(folder.iterdir())


def damage(folder: Path) -> None:
    for path in folder.glob("*.list"):
        path.write_bytes(b"192.0.2")


def put(path: Path, content: bytes) -> None:
    path.write_bytes(content)


@pytest.fixture
def in_file(tmp_path: Path) -> tuple[Worker, Path]:
    path = tmp_path / "bad.netset"
    path.write_bytes(LARGE_LIST)
    return Worker(ManualClock(), lambda reading: FileFeed(reading, str(path))), path


async def test_a_file_is_read_again_when_it_changes(in_file: tuple[Worker, Path]) -> None:
    worker, path = in_file
    assert worker.names("10.0.99.1")
    await worker.feed.look()
    put(path, LARGE_LIST + b"192.0.2.0/24\n")
    await worker.feed.look()
    assert not worker.names()  # it may still be written
    for _ in range(3):
        await worker.feed.look()
    assert worker.names()
    assert (worker.outcomes, worker.changes) == (["ok"], 2)


async def test_a_damaged_or_missing_file_leaves_the_list_there_was(
    in_file: tuple[Worker, Path], caplog: pytest.LogCaptureFixture
) -> None:
    worker, path = in_file
    put(path, b"")
    await worker.feed.look()
    await worker.feed.look()
    path.unlink()
    for _ in range(3):
        await worker.feed.look()
    assert worker.names("10.0.99.1")
    assert worker.outcomes[:2] == ["refused", "failed"]
    assert len(caplog.records) == 1
    put(path, LARGE_LIST)
    await worker.feed.look()
    await worker.feed.look()
    assert worker.outcomes[-1] == "ok"


def test_a_file_that_cannot_be_used_is_an_error_that_names_it(tmp_path: Path) -> None:
    path = tmp_path / "bad.netset"
    path.write_bytes(b"<html>")
    with pytest.raises(ValueError, match=f"{path} cannot be used"):
        Worker(ManualClock(), lambda reading: FileFeed(reading, str(path)))
