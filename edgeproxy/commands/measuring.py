"""How long a model takes here: warm, on one core, asked one question at a time."""

from __future__ import annotations

import asyncio
import os
import time
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from edgeproxy.inference.session import Session
    from edgeproxy.tensors import Tensors

WARM: Final = 5  # runs before the first that counts
MOST: Final = 200_000


class Measured(NamedTuple):
    """Wall time of a run in seconds, half, 95 and 99 of a hundred being below, and the CPU time of one."""

    runs: int
    inline: bool
    p50: float
    p95: float
    p99: float
    cpu: float


def on_one_core() -> None:
    """Keep this process to one of the cores it may use."""
    os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})


def measure(session: Session, question: Tensors, seconds: float, *, inline: bool) -> Measured:
    """Ask for so many seconds; runs that are not ``inline`` with the way to a thread and back. Raises RunError."""
    for _ in range(WARM):
        session.run(question)
    return _here(session, question, seconds) if inline else asyncio.run(_on_a_thread(session, question, seconds))


def _here(session: Session, question: Tensors, seconds: float) -> Measured:
    taken: list[float] = []
    run, clock = session.run_here, time.perf_counter
    run(question)
    used, end = time.process_time(), clock() + seconds
    before = clock()
    while before < end and len(taken) < MOST:
        run(question)
        after = clock()
        taken.append(after - before)
        before = after
    return _of(taken, time.process_time() - used, inline=True)


async def _on_a_thread(session: Session, question: Tensors, seconds: float) -> Measured:
    taken: list[float] = []
    loop, clock = asyncio.get_running_loop(), time.perf_counter
    with ThreadPoolExecutor(1) as pool:
        await loop.run_in_executor(pool, session.run, question)
        used, end = time.process_time(), clock() + seconds
        before = clock()
        while (before < end or not taken) and len(taken) < MOST:
            await loop.run_in_executor(pool, session.run, question)
            after = clock()
            taken.append(after - before)
            before = after
    return _of(taken, time.process_time() - used, inline=False)


def _of(taken: list[float], used: float, *, inline: bool) -> Measured:
    taken.sort()
    p50, p95, p99 = (taken[int(len(taken) * share)] for share in (0.5, 0.95, 0.99))
    return Measured(len(taken), inline, p50, p95, p99, used / len(taken))
