from __future__ import annotations

import asyncio

from edgeproxy.origin.deadline import NEVER, Deadline


async def test_it_rings_at_the_last_time_set():
    loop = asyncio.get_running_loop()
    rang = loop.create_future()
    deadline = Deadline(loop, lambda: rang.set_result(loop.time()))
    start = loop.time()
    deadline.set(start + 10)
    deadline.set(start + 0.02)
    deadline.set(start + 0.06)
    assert await asyncio.wait_for(rang, 5) >= start + 0.06


async def test_moving_it_later_makes_no_timer():
    loop = asyncio.get_running_loop()
    deadline = Deadline(loop, lambda: None)
    deadline.set(loop.time() + 10)
    handle = deadline._handle
    for i in range(11, 20):
        deadline.set(loop.time() + i)
    assert deadline._handle is handle
    deadline.cancel()
    assert handle is not None
    assert handle.cancelled()


async def test_never_is_never():
    loop = asyncio.get_running_loop()
    rang = []
    deadline = Deadline(loop, lambda: rang.append(1))
    deadline.set(loop.time() + 0.01)
    deadline.set(NEVER)
    await asyncio.sleep(0.05)
    assert rang == []
    deadline.set(loop.time() + 0.01)
    await asyncio.sleep(0.05)
    assert rang == [1]
