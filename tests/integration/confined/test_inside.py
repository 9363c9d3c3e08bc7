"""What a confined process can no longer do."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from edgeproxy.confined.child import Child
from edgeproxy.confined.inside import receive

MEMORY = 600_000_000


@pytest.fixture
async def child() -> AsyncIterator[Child]:
    started = await Child.run("tests.support.confined_echo", MEMORY, environment={})
    yield started
    await started.end()


async def said(child: Child, job: bytes) -> bytes:
    await child.send(job)
    return await child.receive(1)


async def test_it_opens_starts_and_takes_nothing(child: Child) -> None:
    assert await said(child, b"e") == b"+"
    # Whoever is root may start processes all the same (setrlimit(2), RLIMIT_NPROC), and these inherit all the rest.
    for job in (b"o", b"c", b"m") if os.getuid() == 0 else (b"o", b"c", b"m", b"t", b"f"):
        assert await said(child, job) == b"-", job
    assert await said(child, b"e") == b"+"


def limit(pid: int, name: str) -> tuple[str, str]:
    limits = Path(f"/proc/{pid}/limits").read_bytes().decode()
    found = re.search(rf"^Max {name}\s+(\S+)\s+(\S+)", limits, re.MULTILINE)
    assert found
    return found[1], found[2]


async def test_the_system_says_so_too(child: Child) -> None:
    for name in ("open files", "processes", "file size", "core file size"):
        assert limit(child.pid, name) == ("0", "0"), name
    assert limit(child.pid, "address space") == (str(MEMORY), str(MEMORY))
    assert os.getpgid(child.pid) == child.pid
    assert os.getpriority(os.PRIO_PROCESS, child.pid) == os.getpriority(os.PRIO_PROCESS, 0) + 1


async def test_who_burns_time_is_ended_by_the_system(child: Child) -> None:
    await child.send(b"b")
    with pytest.raises((EOFError, OSError)):
        await child.receive(1)


def test_what_breaks_off_is_nothing() -> None:
    ours, theirs = socket.socketpair()
    with ours, theirs:
        theirs.sendall(b"abc")
        assert receive(ours, 2) == b"ab"
        assert receive(ours, 0) == b""
        theirs.shutdown(socket.SHUT_WR)
        assert receive(ours, 2) is None
