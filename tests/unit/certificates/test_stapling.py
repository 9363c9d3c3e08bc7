"""OCSP answers for all workers of a node: fetched by one of them, in time, and never shown past theirs."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from edgeproxy.certificates.leaf import Leaf, read
from edgeproxy.certificates.stapling import LOOK_EVERY, TRY_EVERY, Staples, fetch_answer
from tests.support.certificates import Authority, Pair
from tests.support.ocsp import Responder

HOUR = 3600.0


class Node:
    """Workers that share a folder and a responder, at a time that can be set."""

    def __init__(self, folder: Path, *, must_staple: bool = False) -> None:
        self.folder = folder / "node"
        self.folder.mkdir()
        self.responder = Responder(Authority(folder))
        self.pair: Pair = self.responder.issue("a.example", must_staple=must_staple)
        self.leaf: Leaf = read(str(self.pair.certificate))
        self.offset = TRY_EVERY - time.time() % TRY_EVERY  # at the beginning of a stretch in which one may ask
        self.asked: list[str] = []
        self.fault: Exception | None = None
        self.hours = (-1.0, 47.0)

    def now(self) -> float:
        return time.time() + self.offset

    def worker(self) -> Staples:
        return Staples(self.folder, self.now, self._fetch)

    async def _fetch(self, url: str, asked: bytes) -> bytes:
        self.asked.append(url)
        if self.fault is not None:
            raise self.fault
        start, end = (hour + self.offset / HOUR for hour in self.hours)
        return self.responder.answer(self.pair, hours=(start, end))

    async def look(self, worker: Staples, leaf: Leaf | None = None) -> bytes:
        """What it shows after a look and all that came of it."""
        shown = worker.of(leaf or self.leaf)
        assert shown is not None
        self.offset += LOOK_EVERY
        worker.look(lambda: [leaf or self.leaf])
        await worker.settled()
        return shown()


@pytest.fixture
def node(tmp_path: Path) -> Node:
    return Node(tmp_path)


async def test_one_worker_fetches_and_all_show(node: Node) -> None:
    one, other = node.worker(), node.worker()
    response = await node.look(one)
    assert response
    assert await node.look(other) == response
    assert node.asked == ["http://ocsp.example/"]


async def test_a_newer_one_is_fetched_at_half_its_life_by_one_of_them(node: Node) -> None:
    one, other = node.worker(), node.worker()
    first = await node.look(one)
    await node.look(other)
    node.offset += 22 * HOUR
    assert await node.look(one) == first
    node.offset += 2 * HOUR
    second = await node.look(other)
    assert second != first
    assert await node.look(one) == second
    assert len(node.asked) == 2


async def test_the_old_one_is_shown_while_the_responder_is_down_but_not_past_its_time(
    node: Node, caplog: pytest.LogCaptureFixture
) -> None:
    worker = node.worker()
    first = await node.look(worker)
    node.fault = ValueError("down")
    node.offset += 30 * HOUR
    assert await node.look(worker) == first
    assert "no OCSP answer for a.example: down" in caplog.text
    node.offset += 18 * HOUR
    assert await node.look(worker) == b""


async def test_a_responder_that_fails_is_asked_again_only_after_a_while(node: Node) -> None:
    node.fault = TimeoutError()
    workers = [node.worker() for _ in range(3)]
    for worker in workers * 5:
        assert await node.look(worker) == b""
    assert len(node.asked) == 1
    node.fault = None
    node.offset += TRY_EVERY
    assert await node.look(workers[0])


async def test_what_must_be_shown_and_is_not_there_is_said(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    node = Node(tmp_path, must_staple=True)
    node.fault = ValueError("down")
    await node.look(node.worker())
    assert "without which clients refuse it" in caplog.text


async def test_nothing_is_asked_about_a_certificate_that_names_no_responder(node: Node) -> None:
    plain = read(str(node.responder.authority.issue("b.example").certificate))
    worker = node.worker()
    assert worker.of(plain) is None
    worker.look(lambda: [plain])
    await worker.settled()
    assert node.asked == []


async def test_nor_without_the_authority_which_is_said(node: Node, caplog: pytest.LogCaptureFixture) -> None:
    alone = Leaf(("a.example",), "", "", (0, 0), "http://ocsp.example/", False, node.leaf.chain[:1])
    assert node.worker().of(alone) is None
    assert "no certificate of the authority" in caplog.text


async def test_a_damaged_file_is_no_answer(node: Node) -> None:
    await node.look(node.worker())
    (written,) = [path for path in (node.folder / "ocsp").iterdir() if "." not in path.name]
    written.write_bytes(b"damaged")
    assert await node.look(node.worker()) == b""


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc/passwd", "nonsense"])
async def test_what_is_no_address_is_not_asked(url: str) -> None:
    with pytest.raises(ValueError, match="no address of a responder"):
        await fetch_answer(url, b"")


async def test_it_ends_when_told_to(node: Node) -> None:
    stuck = asyncio.Event()

    async def never(_: str, __: bytes) -> bytes:
        stuck.set()
        await asyncio.Event().wait()
        return b""

    worker = Staples(node.folder, node.now, never)
    worker.look(lambda: [node.leaf])
    await stuck.wait()
    await worker.stop()
    assert repr(worker) == "<Staples 0>"
