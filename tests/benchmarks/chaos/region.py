"""A region that dies under load, with another one to take its place, and comes back."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.chaos.servers import Proxy
from tests.benchmarks.chaos.session import BACK_LIMIT, TURN
from tests.benchmarks.chaos.steady import Steady, Summary, between
from tests.benchmarks.servers import ORIGIN_CORE
from tests.support.failing import FailingOrigins

COUNT = 3  # origins of a region
OUTAGE = 4.0  # seconds


@dataclass(frozen=True, slots=True)
class Killed:
    """What a proxy made of it. ``whole``: from the death until all is as before; ``longest``: seconds of the slowest
    answer of that time, infinite where one failed; ``back``: seconds until the region is asked again, None for
    never."""

    how: str
    proxy: str
    whole: Summary
    longest: float
    back: float | None


HOW: dict[str, tuple[Callable[[FailingOrigins], object], Callable[[FailingOrigins], object]]] = {
    "are killed": (FailingOrigins.kill, FailingOrigins.__enter__),
    "fall silent": (FailingOrigins.freeze, FailingOrigins.thaw),
}


async def run(work: Path, rate: float, kinds: Sequence[type[Proxy]]) -> list[Killed]:
    """Each way to die, for all proxies at once."""
    async with contextlib.AsyncExitStack() as stack:
        home, other = (stack.enter_context(FailingOrigins(COUNT, core=ORIGIN_CORE)) for _ in range(2))
        homes, others = ([f"127.0.0.1:{port}" for port in each.ports] for each in (home, other))
        proxies = [stack.enter_context(kind(work, homes, others)) for kind in kinds]
        loads = [Steady(proxy.name, proxy.port, rate) for proxy in proxies]
        for load in loads:
            await stack.enter_async_context(load)
        await asyncio.sleep(1.0)
        return [each for how, acts in HOW.items() for each in await _die(how, acts, home, loads)]


async def _die(
    how: str,
    acts: tuple[Callable[[FailingOrigins], object], Callable[[FailingOrigins], object]],
    home: FailingOrigins,
    loads: Sequence[Steady],
) -> list[Killed]:
    since = time.monotonic()
    await asyncio.to_thread(acts[0], home)
    await asyncio.sleep(OUTAGE)
    await asyncio.to_thread(acts[1], home)
    alive = time.monotonic()
    before = await asyncio.to_thread(home.asked)
    ends: dict[str, float] = {}
    while len(ends) < len(loads) and time.monotonic() < alive + BACK_LIMIT:
        await asyncio.sleep(TURN)
        counts = await asyncio.to_thread(home.asked)
        for load in loads:
            if all(now[load.name] > then[load.name] for now, then in zip(counts, before, strict=True)):
                ends.setdefault(load.name, time.monotonic() - alive)
    until = time.monotonic()
    outcomes = []
    for load in loads:
        await load.answered(until)
        whole = Summary.of(between(load.asked, since, until))
        outcomes.append(Killed(how, load.name, whole, whole.longest, ends.get(load.name)))
        load.asked.clear()
    return outcomes
