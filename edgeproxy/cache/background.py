"""Work that waits for nobody: on a thread of the lowest priority, one piece at a time."""

from __future__ import annotations

import asyncio
import os
import sys
import threading
import time
from collections.abc import Callable
from typing import Generic, NamedTuple, TypeVar

LOWEST = 19  # nice

T = TypeVar("T")


class Done(NamedTuple, Generic[T]):
    """What a piece of work gave, or what it raised, and the CPU seconds it took."""

    value: T | None
    error: BaseException | None
    seconds: float


class Background:
    """A thread is there only while there is work for it."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None

    async def run(self, work: Callable[[], T]) -> Done[T]:
        """Do it. One that is cancelled while it waits leaves the work to end by itself, and gets no result."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[Done[T]] = loop.create_future()
        self._thread = threading.Thread(target=_work, args=(work, loop, done), name="background", daemon=True)
        self._thread.start()
        return await done

    async def close(self, within: float) -> bool:
        """Wait so many seconds for what is being done; whether that has ended."""
        thread = self._thread
        if thread is not None and thread.is_alive():
            await asyncio.to_thread(thread.join, within)
        return thread is None or not thread.is_alive()


def _work(work: Callable[[], T], loop: asyncio.AbstractEventLoop, done: asyncio.Future[Done[T]]) -> None:
    if sys.platform == "linux":  # elsewhere a priority is a whole process's
        os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), LOWEST)
    value: T | None = None
    error: BaseException | None = None
    begun = time.thread_time()
    try:
        value = work()
    except BaseException as raised:  # noqa: BLE001 -- handed over; a panic of a library in Rust is no Exception
        error = raised
    outcome = Done(value, error, time.thread_time() - begun)
    try:
        loop.call_soon_threadsafe(_settle, done, outcome)
    except RuntimeError:
        pass  # the loop has ended, and nobody waits


def _settle(done: asyncio.Future[Done[T]], outcome: Done[T]) -> None:
    if not done.done():
        done.set_result(outcome)
