"""``python -m tests.benchmarks.balance.origins SPEED:RTT …``: HTTP/1.1 origins on free ports, printed one a line.

Each has a few workers, each of which sleeps for what a request's work takes there: ``/NAME?work=SECONDS``. What it
takes more is waiting for a worker, and the injected round trip. ``/begin?seed=N&seconds=S`` draws slow moments anew.
"""

from __future__ import annotations

import asyncio
import random
import sys
from bisect import bisect_right
from typing import cast
from urllib.parse import parse_qs, urlsplit

import uvloop

from edgeproxy.training.world import ANTAGONIST, WORKERS, slow_moments

HEAD = b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncache-control: no-store\r\n\r\nok\n"


class Place:
    """One origin's workers and its slow moments."""

    def __init__(self, number: int, speed: float, rtt: float) -> None:
        self.number = number
        self.speed = speed
        self.rtt = rtt
        self.workers = asyncio.Semaphore(WORKERS)
        self._slow: tuple[float, ...] = ()
        self._begun = 0.0

    def begin(self, seed: int, seconds: float) -> None:
        """From now on, the slow moments of that seed."""
        self._slow = slow_moments(random.Random(seed * 1_000 + self.number), seconds)
        self._begun = asyncio.get_running_loop().time()

    async def work(self, seconds: float) -> None:
        """Wait for a worker, then for what it takes."""
        await asyncio.sleep(self.rtt)
        async with self.workers:
            slowed = bisect_right(self._slow, asyncio.get_running_loop().time() - self._begun) % 2
            await asyncio.sleep(seconds / self.speed * (ANTAGONIST if slowed else 1.0))


class Conversation(asyncio.Protocol):
    """One connection: requests without a body, one after the other."""

    def __init__(self, place: Place, tasks: set[asyncio.Task[None]]) -> None:
        self._place = place
        self._tasks = tasks
        self._read = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._read += data
        while b"\r\n\r\n" in self._read:
            head, _, self._read = self._read.partition(b"\r\n\r\n")
            task = asyncio.get_running_loop().create_task(self._answer(head.split(b" ", 2)[1].decode()))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _answer(self, target: str) -> None:
        url = urlsplit(target)
        given = {name: float(values[0]) for name, values in parse_qs(url.query).items()}
        if url.path == "/begin":
            self._place.begin(int(given["seed"]), given["seconds"])
        else:
            await self._place.work(given["work"])
        if not self._transport.is_closing():
            self._transport.write(HEAD)


async def serve(places: list[str]) -> None:
    """Until the process is ended."""
    loop, tasks = asyncio.get_running_loop(), set[asyncio.Task[None]]()
    for number, told in enumerate(places):
        speed, rtt = map(float, told.split(":"))
        place = Place(number, speed, rtt)
        server = await loop.create_server(lambda place=place: Conversation(place, tasks), "127.0.0.1", 0)
        print(server.sockets[0].getsockname()[1], flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(serve(sys.argv[1:]))
