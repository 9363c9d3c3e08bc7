"""A combination of failures from beginning to end, for all proxies at once: they are asked in turn, in front of the
same origins, so that whatever disturbs the machine disturbs each of them."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.benchmarks.chaos.servers import Edgeproxy, Proxy
from tests.benchmarks.chaos.steady import Asked, Steady, Summary, back, between
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.servers import ORIGIN_CORE
from tests.support.failing import TAKES, FailingOrigins, Fault

# The i-th origin fails in the i-th way, where it fails.
WAYS = (Fault.STALL, Fault.RESET, Fault.ERROR, Fault.TRICKLE, Fault.BLACK_HOLE)
BACK_LIMIT = 12.0  # seconds to wait until healed origins are asked again
TURN = 0.05  # seconds between two looks
SPENT = ("edgeproxy_origin_retries_total", "edgeproxy_origin_hedges_total")  # what the budget is for


@dataclass(frozen=True, slots=True)
class Times:
    """Seconds: ``quiet`` before all combinations and behind; of each, ``learning`` from the failure's beginning, then
    those that p99 is taken of. ``rate``: requests a second."""

    quiet: float = 5.0
    learning: float = 4.0
    measured: float = 2.5
    rate: float = 200.0


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a proxy made of one combination. ``whole``: from the failure's beginning to its end; ``learned``: the time
    measured. ``back``: seconds until every healed origin had answered again, None for never. ``sent``: requests that
    reached an origin for each that was asked. ``retries`` of edgeproxy's own counting, beside what its budget allows.
    """

    proxy: str
    faults: tuple[Fault, ...]
    whole: Summary
    learned: Summary
    back: float | None
    sent: float
    failures: tuple[str, ...]
    retries: float = 0.0
    allowed: float = 0.0


def combinations(most: int = 4) -> list[tuple[Fault, ...]]:
    """Every choice of one to ``most`` of the five ways to fail."""
    return [chosen for count in range(1, most + 1) for chosen in itertools.combinations(WAYS, count)]


def placed(faults: Sequence[Fault]) -> list[Fault]:
    """Each of the five origins' failure. One that trickles bodies is the one that trickles heads otherwise."""
    at = {Fault.DRIP: WAYS.index(Fault.TRICKLE)} | {way: place for place, way in enumerate(WAYS)}
    chosen = {at[fault]: fault for fault in faults}
    return [chosen.get(place, Fault.WELL) for place in range(len(WAYS))]


class Session:
    """Proxies and origins that run, with requests on their way to each of them, inside ``running``."""

    def __init__(self, work: Path, times: Times, kinds: Sequence[type[Proxy]]) -> None:
        self._times = times
        self._origins = FailingOrigins(len(WAYS), core=ORIGIN_CORE)
        addresses = [f"127.0.0.1:{port}" for port in self._origins.ports]
        self._proxies = [kind(work, addresses) for kind in kinds]
        self._loads = [Steady(proxy.name, proxy.port, times.rate) for proxy in self._proxies]

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        async with contextlib.AsyncExitStack() as stack:
            stack.enter_context(self._origins)
            for proxy in self._proxies:
                stack.enter_context(proxy)
            for place, load in enumerate(self._loads):
                await stack.enter_async_context(load)
                if place + 1 < len(self._loads):  # between each other's requests
                    await asyncio.sleep(1 / self._times.rate / len(self._loads))
            await asyncio.sleep(1.0)  # connections are open
            yield

    async def quiet(self) -> dict[str, Summary]:
        """All origins are well."""
        since = time.monotonic()
        await asyncio.sleep(self._times.quiet)
        until = time.monotonic()
        return {load.name: Summary.of(between(await self._all(load, until), since, until)) for load in self._loads}

    async def fail(self, faults: tuple[Fault, ...]) -> list[Outcome]:
        """Let origins fail in these ways, heal them, and wait until each proxy asks all of them again."""
        times = self._times
        sent, retries = await self._sent(), await self._retries()
        since = await self._tell(faults)
        await asyncio.sleep(times.learning + times.measured)
        until = await self._tell(())
        counted, spent = await self._sent(), await self._retries()
        healed = [number for number, fault in enumerate(placed(faults)) if fault is not Fault.WELL]
        waiting = self._loads
        while waiting and time.monotonic() < until + BACK_LIMIT:
            await asyncio.sleep(TURN)
            waiting = [load for load in waiting if back(load.asked, until, healed) is None]
        outcomes = []
        for load, proxy in zip(self._loads, self._proxies, strict=True):
            whole = between(await self._all(load, until), since, until)
            ours = isinstance(proxy, Edgeproxy)
            outcomes.append(
                Outcome(
                    load.name,
                    faults,
                    Summary.of(whole),
                    Summary.of(between(whole, since + times.learning, until)),
                    back(load.asked, until, healed),
                    (counted[load.name] - sent[load.name]) / len(whole),
                    tuple(sorted({each.failure for each in whole if each.failure})),
                    spent - retries if ours else 0.0,
                    allowed(len(whole), times) if ours else 0.0,
                )
            )
        for load in self._loads:
            load.asked.clear()
        return outcomes

    async def _tell(self, faults: tuple[Fault, ...]) -> float:
        """When it has been told; the loads go on meanwhile."""
        await asyncio.to_thread(self._origins.fail, *placed(faults))
        return time.monotonic()

    async def _sent(self) -> dict[str, int]:
        counts = await asyncio.to_thread(self._origins.asked)
        return {load.name: sum(each[load.name] for each in counts) for load in self._loads}

    async def _retries(self) -> float:
        ours = [proxy for proxy in self._proxies if isinstance(proxy, Edgeproxy)]
        return sum([await asyncio.to_thread(each.metric, *SPENT) for each in ours])

    async def _all(self, load: Steady, until: float) -> list[Asked]:
        await load.answered(until)
        return load.asked


def check_quiet(quiet: Mapping[str, Summary]) -> None:
    """Raises BenchmarkError where answers take twice as long as the slowest origin at best: nothing fails, so the
    machine has other work."""
    for name, summary in quiet.items():
        if summary.p99 > 2 * TAKES[1]:
            raise BenchmarkError(
                f"{name} takes {summary.p99 * 1e3:.0f} ms (p99) while all is well: the machine is busy"
            )


def allowed(requests: int, times: Times) -> float:
    """Retries that a budget of 20 % of the last ten seconds' requests lets pass in a combination at most, with the
    three of each ten seconds that are always allowed (edgeproxy/origin/retry.py)."""
    seconds = times.learning + times.measured
    return 0.2 * (requests + 10 * times.rate) + 3 * (2 + seconds // 10)
