"""Work in the background: at the lowest priority, measured, and left behind by who cannot wait."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time

import pytest

from edgeproxy.cache.background import LOWEST, Background


async def test_it_gives_what_the_work_gave_and_the_processor_time_that_took() -> None:
    def work() -> str:
        until = time.thread_time() + 0.02
        while time.thread_time() < until:
            pass
        time.sleep(0.05)  # not the processor's
        return "done"

    done = await Background().run(work)
    assert (done.value, done.error) == ("done", None)
    assert 0.02 <= done.seconds < 0.05


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere a priority is a whole process's")
async def test_its_thread_alone_has_the_lowest_priority() -> None:
    before = os.getpriority(os.PRIO_PROCESS, threading.get_native_id())
    done = await Background().run(lambda: os.getpriority(os.PRIO_PROCESS, threading.get_native_id()))
    assert done.value == LOWEST
    assert os.getpriority(os.PRIO_PROCESS, threading.get_native_id()) == before


@pytest.mark.parametrize("error", [ValueError("no"), StopIteration(), SystemExit(3)])
async def test_whatever_it_raises_is_handed_over(error: BaseException) -> None:
    def work() -> None:
        raise error

    assert (await asyncio.wait_for(Background().run(work), 5)).error is error


async def test_no_thread_is_there_without_work() -> None:
    background = Background()
    before = set(threading.enumerate())
    await background.run(int)
    assert await background.close(5)
    after = set(threading.enumerate()) - before
    assert "background" not in {thread.name for thread in after}


async def test_who_closes_waits_no_longer_than_told() -> None:
    background, go = Background(), threading.Event()
    troubles: list[object] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: troubles.append(context))
    waiting = asyncio.create_task(background.run(go.wait))
    await asyncio.sleep(0)
    waiting.cancel()
    begun = time.monotonic()
    assert not await background.close(0.05)
    assert time.monotonic() - begun < 1.0
    go.set()
    assert await background.close(5)
    await asyncio.sleep(0)  # its result is nobody's by now
    assert not troubles


def test_what_ends_after_its_loop_disturbs_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    background, go = Background(), threading.Event()
    troubles: list[threading.ExceptHookArgs] = []
    monkeypatch.setattr(threading, "excepthook", troubles.append)

    async def begin() -> None:
        waiting = asyncio.create_task(background.run(go.wait))
        await asyncio.sleep(0)
        waiting.cancel()

    asyncio.run(begin())
    go.set()
    for thread in threading.enumerate():
        if thread.name == "background":
            thread.join(5)
    assert not troubles
