"""What a process that makes pictures may do, and what it does with damaged ones."""

from __future__ import annotations

import os
import random
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgeproxy.images.painter import Painter
from edgeproxy.images.plan import REASONS, Bounds, Craft, Plan
from edgeproxy.images.process import LENGTHS
from tests.support import pictures

MEMORY = 600_000_000
SMALL = pictures.encode(pictures.photo(60, 40))


@pytest.fixture
async def child() -> AsyncIterator[Painter]:
    started = await Painter.start(MEMORY, engine="pillow")
    yield started
    await started.end()


def about(pid: int, file: str) -> bytes:
    return Path(f"/proc/{pid}/{file}").read_bytes()


def leads(link: Path) -> str:
    return str(link.readlink())


def held(pid: int) -> list[str]:
    """What its open descriptors are."""
    return [leads(entry) for entry in Path(f"/proc/{pid}/fd").iterdir()]


def limit(pid: int, name: str) -> tuple[str, str]:
    found = re.search(rf"^Max {name}\s+(\S+)\s+(\S+)", about(pid, "limits").decode(), re.MULTILINE)
    assert found
    return found[1], found[2]


async def test_nothing_can_be_opened_written_or_started_in_it(child: Painter) -> None:
    await child.ask(SMALL, Plan(width=30), Bounds(seconds=7), Craft(), 7)
    for name in ("open files", "processes", "file size", "core file size"):
        assert limit(child.pid, name) == ("0", "0"), name
    assert limit(child.pid, "address space") == (str(MEMORY), str(MEMORY))
    assert 8 <= int(limit(child.pid, "cpu time")[0]) <= 10
    assert re.search(r"^NoNewPrivs:\s+1$", about(child.pid, "status").decode(), re.MULTILINE)


async def test_it_knows_no_secret_and_holds_nothing_but_its_socket(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EDGEPROXY_SECRET", "do not tell")
    with socket.socket() as ours:
        ours.set_inheritable(True)
        child = await Painter.start(MEMORY)
        try:
            assert b"EDGEPROXY" not in about(child.pid, "environ")
            assert sorted(name.partition(":")[0] for name in held(child.pid)) == ["/dev/null"] * 3 + ["socket"]
            assert leads(Path(f"/proc/{child.pid}/cwd")) == "/"
            assert os.getpgid(child.pid) == child.pid
        finally:
            await child.end()


async def test_it_ends_when_nobody_is_at_the_other_end(child: Painter) -> None:
    child._link.shutdown(socket.SHUT_WR)
    assert await child._process.wait() == 0


async def test_an_answer_out_of_all_proportion_is_not_waited_for() -> None:
    ours, theirs = socket.socketpair()
    ours.setblocking(False)
    child = Painter(None, ours)  # type: ignore[arg-type]
    for answer in (
        LENGTHS.pack(2_000, 0),
        LENGTHS.pack(2, 4_000_000_000),
        LENGTHS.pack(2, 0) + b"{}",
        LENGTHS.pack(1, 0) + b"x",
    ):
        theirs.sendall(answer)
        with pytest.raises(ValueError):
            await child.ask(b"", Plan(), Bounds(seconds=2), Craft(), 2)
        theirs.recv(10_000)
    theirs.close()
    with pytest.raises((EOFError, OSError)):
        await child.ask(b"", Plan(), Bounds(seconds=2), Craft(), 2)
    ours.close()


async def test_flipped_bits_are_a_picture_or_a_reason(child: Painter) -> None:
    """In the process itself: a decoder that crashes would end it, and the next question would fail."""
    plan = Plan(width=24, height=24, fit="cover", gravity="auto", format="webp", metadata="copyright")
    for name, source in pictures.kinds(48, 32).items():
        rng = random.Random(name)
        for _ in range(30):
            damaged = bytearray(source)
            for _ in range(rng.choice((1, 1, 2, 8))):
                at = min(rng.randrange(len(source)), rng.choice((64, 400, len(source) - 1)))
                damaged[at] ^= 1 << rng.randrange(8)
            answer = await child.ask(bytes(damaged), plan, Bounds(pixels=1_000_000), Craft(), 10)
            assert answer.picture or answer.reason in REASONS, name
            assert answer.reason != "failed", name
