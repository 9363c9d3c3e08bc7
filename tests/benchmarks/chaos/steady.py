"""Idempotent requests at even spacing, whatever becomes of them; each is timed from when it was due.

A request takes a connection that is free, or opens one. It has failed when its answer is not 200 with every byte of its
target's body, when its connection is lost, and when no answer is there in ten seconds.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Self, cast

import httptools

from tests.benchmarks.stats import quantile
from tests.support.failing import body_of

PATIENCE = 10.0  # seconds a client waits
_OK = 200


class Asked(NamedTuple):
    """What became of one request. ``due``: monotonic seconds; ``took``: seconds from then to the answer's end;
    ``endpoint``: who answered, -1 if unknown; ``failure``: why it failed, empty if it did not."""

    due: float
    took: float
    endpoint: int
    failure: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Requests, how many of them failed, and seconds that 50 and 99 % did not exceed, and none: those that failed count
    as infinitely long."""

    requests: int
    failed: int
    p50: float
    p99: float
    longest: float

    @classmethod
    def of(cls, asked: Iterable[Asked]) -> Summary:
        """Raises ValueError for none."""
        asked = list(asked)
        took = [math.inf if each.failure else each.took for each in asked]
        failed = sum(bool(each.failure) for each in asked)
        return cls(len(took), failed, quantile(took, 0.5), quantile(took, 0.99), quantile(took, 1.0))


def between(asked: Iterable[Asked], since: float, until: float) -> list[Asked]:
    """Those that were due in this time."""
    return [each for each in asked if since <= each.due < until]


def back(asked: Iterable[Asked], since: float, endpoints: Iterable[int]) -> float | None:
    """Seconds from ``since`` until each of these endpoints had answered well again; None if one has not."""
    first: dict[int, float] = {}
    for each in asked:
        if each.due >= since and not each.failure:
            first[each.endpoint] = min(each.due + each.took, first.get(each.endpoint, each.due + each.took))
    ends = [first.get(endpoint) for endpoint in endpoints]
    return None if None in ends else max((end for end in ends if end is not None), default=since) - since


class Steady:
    """Asks ``/{name}/{number}`` of a port, ``rate`` times a second, inside the ``async with``. ``asked`` grows."""

    def __init__(self, name: str, port: int, rate: float) -> None:
        self.name = name
        self.port = port
        self.asked: list[Asked] = []
        self.free: deque[_Connection] = deque()
        self.connections: set[_Connection] = set()
        self._rate = rate
        self._tasks: set[asyncio.Task[None]] = set()
        self._pace: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        self._pace = asyncio.create_task(self._go_on())
        return self

    async def __aexit__(self, *_: object) -> None:
        tasks = [task for task in (self._pace, *self._tasks) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for connection in list(self.connections):
            connection.close()

    async def answered(self, until: float) -> None:
        """Wait until every request that was due before this moment has been answered or given up."""
        while any(due < until for due in self._pending()):  # noqa: ASYNC110 -- bounded by each request's patience
            await asyncio.sleep(0.01)

    async def reached(self, count: int) -> None:
        """Wait until so many more requests have been answered."""
        wanted = len(self.asked) + count
        while len(self.asked) < wanted:  # noqa: ASYNC110 -- requests go on whatever becomes of them
            await asyncio.sleep(0.01)

    def _pending(self) -> Sequence[float]:
        return [connection.due for connection in self.connections if connection.busy]

    async def _go_on(self) -> None:
        begin, number = time.monotonic(), 0
        while True:
            due = begin + number / self._rate
            await asyncio.sleep(max(0.0, due - time.monotonic()))
            target = f"/{self.name}/{number}"
            while self.free and self.free[0].lost:
                self.free.popleft()
            if self.free:
                self.free.popleft().ask(target, due)
            else:
                task = asyncio.create_task(self._open(target, due))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
            number += 1

    async def _open(self, target: str, due: float) -> None:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout(PATIENCE):
                _, connection = await loop.create_connection(lambda: _Connection(self), "127.0.0.1", self.port)
        except OSError as error:
            self.asked.append(Asked(due, time.monotonic() - due, -1, f"no connection: {error}"))
        else:
            connection.ask(target, due)


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, steady: Steady) -> None:
        self.due = 0.0
        self.busy = False
        self.lost = False
        self._steady = steady
        self._target = ""

    def ask(self, target: str, due: float) -> None:
        self.due, self.busy, self._target = due, True, target
        self._body = b""
        self._endpoint = -1
        self._parser = httptools.HttpResponseParser(self)
        self._timer = asyncio.get_running_loop().call_later(PATIENCE, self._end, "no answer in time")
        self._transport.write(f"GET {target} HTTP/1.1\r\nHost: site.example\r\n\r\n".encode())

    def close(self) -> None:
        self.lost = True
        self._steady.connections.discard(self)
        self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._steady.connections.add(self)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(f"connection lost: {error or 'closed'}")
        self.close()

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._end(f"not HTTP: {error}")

    def on_header(self, name: bytes, value: bytes) -> None:
        if name.lower() == b"x-endpoint":
            self._endpoint = int(value)

    def on_body(self, data: bytes) -> None:
        self._body += data

    def on_message_complete(self) -> None:
        status = self._parser.get_status_code()
        if status < _OK:
            return
        if status != _OK:
            self._end(f"status {status}", keep=self._parser.should_keep_alive())
        elif self._body != body_of(self._target):
            self._end("wrong body")
        else:
            self._end("", keep=self._parser.should_keep_alive())

    def _end(self, failure: str, *, keep: bool = False) -> None:
        if not self.busy:
            return
        self.busy = False
        self._timer.cancel()
        self._steady.asked.append(Asked(self.due, time.monotonic() - self.due, self._endpoint, failure))
        if keep and not self.lost:
            self._steady.free.append(self)
        else:
            self.close()
