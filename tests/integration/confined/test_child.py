"""A confined process is started, spoken with and ended, whatever it does."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys

import pytest

from edgeproxy.confined.child import Child

ECHO = "tests.support.confined_echo"
MEMORY = 600_000_000


async def test_it_is_started_spoken_with_and_ended() -> None:
    child = await Child.run(ECHO, MEMORY, environment={})
    assert child.runs
    assert repr(child) == f"<Child {child.pid} runs>"
    await child.send(b"e", b"e")
    assert await child.receive(2) == b"++"
    await child.end()
    assert not child.runs
    assert repr(child).endswith("ended>")
    await child.end()


async def test_who_ends_it_is_obeyed_though_cancelled() -> None:
    child = await Child.run(ECHO, MEMORY, environment={})
    ending = asyncio.create_task(child.end())
    await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait((ending,))
    assert not child.runs
    assert child._process.returncode is not None


async def test_a_killed_one_runs_no_more_and_raises_whatever_is_asked() -> None:
    child = await Child.run(ECHO, MEMORY, environment={})
    child.kill()
    assert not child.runs
    with pytest.raises(OSError):
        await child.send(b"e")
    with pytest.raises(OSError):
        await child.receive(1)
    await child.end()


async def test_it_ends_by_itself_when_nobody_is_at_the_other_end() -> None:
    child = await Child.run(ECHO, MEMORY, environment={})
    child._link.shutdown(socket.SHUT_WR)
    assert await child._process.wait() == 0
    await child.end()


@pytest.mark.parametrize("module", ["tests.support.there_is_none", ECHO])
async def test_one_that_never_gets_ready_is_an_error(module: str) -> None:
    with pytest.raises((EOFError, OSError)):
        await Child.run(module, "no number", environment={})


async def test_one_that_cannot_be_run_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/there/is/none")
    with pytest.raises(OSError):
        await Child.run(ECHO, MEMORY, environment={})


async def test_how_it_ended_is_told() -> None:
    child = await Child.run(ECHO, MEMORY, environment={})
    assert await child.ended(0.01) is None
    os.kill(child.pid, signal.SIGSEGV)
    assert await child.ended(5) == -signal.SIGSEGV
    await child.end()
