"""The same comparison with real processes: nodes of `edgeproxy run`, origins that sleep, requests over sockets.

All balancers run at the same time, each with nodes and origins of its own, and get the same requests at the same times:
what else the machine does, it does to all of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import subprocess
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import aiohttp

from edgeproxy.training.world import CLASSES, SHARES, SIGMA, UTILISATION, WORKERS, slowness, work_on_average
from tests.benchmarks.balance.figures import Figures, Line, Table
from tests.benchmarks.balance.policies import OFFERED, REFERENCE, Policy
from tests.support.ports import end_process
from tests.support.processes import EdgeProcess

ROOT = Path(__file__).parents[3]
SPEEDS = (1.0, 1.0, 0.7, 0.7, 0.45, 0.45)
RTTS = (0.002, 0.015, 0.004, 0.020, 0.006, 0.010)
SLOWER = 4  # times the work of the simulation: what the processes themselves take must not count
NODES = 2
WARM_UP, ROUND = 10.0, 10.0  # seconds
PATHS = ("/page/1", "/api/cart", "/search/q")
LONG = {"timeouts": {"first_byte": 600, "total": 600}}  # a queue that grows is waited for


def rate() -> float:
    """Requests a second that keep the workers busy as in the simulation."""
    return UTILISATION * WORKERS * sum(SPEEDS) * slowness() / (SLOWER * work_on_average())


def plan(seed: int, seconds: float) -> list[tuple[float, int, str]]:
    """When, to which node, what: the same for every policy."""
    draw = random.Random(seed)
    requests, at = [], draw.expovariate(rate())
    while at < seconds:
        kind = draw.choices(range(len(CLASSES)), SHARES)[0]
        work = SLOWER * CLASSES[kind] * draw.lognormvariate(0.0, SIGMA)
        requests.append((at, draw.randrange(NODES), f"{PATHS[kind]}?work={work:.6f}"))
        at += draw.expovariate(rate())
    return requests


def rounds_of(times: Sequence[tuple[float, float]], rounds: int) -> tuple[Figures, ...]:
    """From when each request was sent and what it took to each round's figures; the warm-up is none."""
    found: list[list[float]] = [[] for _ in range(rounds)]
    for at, taken in times:
        if at >= WARM_UP:
            found[int((at - WARM_UP) / ROUND)].append(taken)
    return tuple(map(Figures.of, found))


def measure(rounds: int, policies: Sequence[Policy] = OFFERED, seed: int = 1) -> Table:
    """Figures by round. Raises RuntimeError for an answer that is not 200."""
    seconds = WARM_UP + rounds * ROUND
    with contextlib.ExitStack() as running:
        origins = [running.enter_context(_origins()) for _ in policies]
        nodes = [
            [running.enter_context(EdgeProcess(settings(policy.offered, ports))) for _ in range(NODES)]
            for policy, ports in zip(policies, origins, strict=True)
        ]
        urls = [[node.url for node in own] for own in nodes]
        times = asyncio.run(_load(plan(seed, seconds), urls, origins, f"/begin?seed={seed}&seconds={seconds + 5}"))
    lines = (Line(p.name, p.offered, rounds_of(own, rounds)) for p, own in zip(policies, times, strict=True))
    return Table(tuple(lines), REFERENCE.name)


def settings(balance: str, ports: Sequence[int]) -> dict[str, object]:
    """A node's: nothing but the balancer decides what a request takes."""
    endpoints = [f"http://127.0.0.1:{port}" for port in ports]
    return {
        "pools": {"site": {"endpoints": endpoints, "balance": balance, "retry": False, "outlier": False, **LONG}},
        "routes": [{"name": "all", "pool": "site"}],
        "middleware": {"bot_check": False, "flood": False, "compression": False},
    }


@contextlib.contextmanager
def _origins() -> Iterator[list[int]]:
    places = [f"{speed}:{rtt}" for speed, rtt in zip(SPEEDS, RTTS, strict=True)]
    command = [sys.executable, "-m", "tests.benchmarks.balance.origins", *places]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, cwd=ROOT)
    assert process.stdout is not None
    try:
        yield [int(process.stdout.readline()) for _ in places]
    finally:
        process.stdout.close()
        end_process(process)


async def _load(
    requests: Sequence[tuple[float, int, str]],
    nodes: Sequence[Sequence[str]],
    origins: Sequence[Sequence[int]],
    begin: str,
) -> list[list[tuple[float, float]]]:
    """By policy: when each request was sent, from the beginning, and the seconds it took."""
    times: list[list[tuple[float, float]]] = [[] for _ in nodes]
    loop = asyncio.get_running_loop()
    async with aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(limit=0), timeout=aiohttp.ClientTimeout()
    ) as client:

        async def get(url: str) -> None:
            async with client.get(url) as answer:
                await answer.read()
                if answer.status != 200:
                    raise RuntimeError(f"{url}: {answer.status}")

        async def one(url: str, at: float, into: list[tuple[float, float]]) -> None:
            began = loop.time()
            await get(url)
            into.append((at, loop.time() - began))

        await asyncio.gather(*(get(f"http://127.0.0.1:{port}{begin}") for ports in origins for port in ports))
        start = loop.time()
        async with asyncio.TaskGroup() as tasks:
            for at, node, target in requests:
                await asyncio.sleep(start + at - loop.time())
                for urls, into in zip(nodes, times, strict=True):
                    tasks.create_task(one(urls[node] + target, at, into))
    return times
