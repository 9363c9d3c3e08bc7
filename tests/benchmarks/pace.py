"""Requests at even spacing, whatever becomes of the answers (an open loop), each timed from when it was due.

A request that finds every connection taken waits for one; that time is the server's and counts, as a visitor's would.
"""

from __future__ import annotations

import asyncio
import gc
import math
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import cast

import httptools
import uvloop

from tests.benchmarks.errors import BenchmarkError

PATIENCE = 15.0  # seconds after the last request for the last answer
_OK = 200
_AGENT = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/139.0.0.0 Safari/537.36"
)
_LEAD = 0.05  # seconds between the connections' opening and the first request
_SPUN = 0.002  # seconds before a request is due in which the clock is watched: a loop's timers step by milliseconds


@dataclass(frozen=True, slots=True)
class Stream:
    """What one kind of client sends: ``rate`` requests a second, in turn, each on a connection that is free."""

    name: str
    requests: Sequence[bytes]
    rate: float
    connections: int

    def due(self, seconds: float) -> int:
        """How many requests are due in so many seconds, the first at once."""
        return round(self.rate * seconds)


@dataclass(slots=True)
class Timed:
    """What became of a stream. ``latencies``: seconds from due to answered, infinite for another status than 200.
    ``behind``: seconds from due to sent, of those that found a connection free: how late the load itself was."""

    latencies: list[float] = field(default_factory=list)
    behind: list[float] = field(default_factory=list)


async def run(port: int, streams: Sequence[Stream], seconds: float) -> dict[str, Timed]:
    """All streams at once, each beginning at the same moment; by name. Raises BenchmarkError for a connection that is
    lost, an answer that is none, and one that does not come."""
    flows = [_Flow(stream, stream.due(seconds)) for stream in streams]
    loop = asyncio.get_running_loop()
    try:
        for flow in flows:
            for _ in range(flow.stream.connections):
                await loop.create_connection(partial(_Connection, flow), "127.0.0.1", port)
        begin = time.monotonic() + _LEAD
        for flow in flows:
            flow.begin = begin
        nearest = begin
        while nearest < math.inf:
            await asyncio.sleep(max(0.0, nearest - time.monotonic() - _SPUN))
            nearest = min(flow.send(time.monotonic()) for flow in flows)
        last = time.monotonic() + PATIENCE
        while any(flow.open for flow in flows):
            if time.monotonic() > last:
                raise BenchmarkError(f"no answer: {', '.join(map(repr, flows))}")
            for flow in flows:
                flow.check()
            await asyncio.sleep(0.001)
        return {flow.stream.name: flow.timed for flow in flows}
    finally:
        for flow in flows:
            flow.close()


def measure(port: int, streams: Sequence[Stream], seconds: float) -> dict[str, Timed]:
    """The same on a loop of its own, without pauses of this process's garbage collector."""
    gc.collect()
    gc.disable()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(run(port, streams, seconds))
    finally:
        gc.enable()


class _Flow:
    """A stream under way: what is due, what waits for a connection, what is not answered yet."""

    def __init__(self, stream: Stream, count: int) -> None:
        self.stream = stream
        self.begin = 0.0
        self.timed = Timed()
        self._count = count
        self._next = 0
        self._waiting: deque[int] = deque()
        self._free: deque[_Connection] = deque()
        self._all: list[_Connection] = []
        self._failed = ""

    @property
    def open(self) -> int:
        """Requests without an answer."""
        return self._count - len(self.timed.latencies)

    def send(self, now: float) -> float:
        """Send what is due. When the next one is, infinity if there is none. Raises BenchmarkError."""
        self.check()
        while self._next < self._count and (due := self._due(self._next)) <= now:
            if self._free and not self._waiting:
                self.timed.behind.append(time.monotonic() - due)
                self._ask(self._free.popleft(), self._next)
            else:
                self._waiting.append(self._next)
            self._next += 1
        return self._due(self._next) if self._next < self._count else math.inf

    def check(self) -> None:
        if self._failed:
            raise BenchmarkError(self._failed)

    def opened(self, connection: _Connection) -> None:
        self._all.append(connection)
        self._free.append(connection)

    def answered(self, connection: _Connection, number: int, status: int) -> None:
        self.timed.latencies.append(time.monotonic() - self._due(number) if status == _OK else math.inf)
        if self._waiting:
            self._ask(connection, self._waiting.popleft())
        else:
            self._free.append(connection)

    def fail(self, why: str) -> None:
        self._failed = self._failed or f"{self.stream.name}: {why}"

    def close(self) -> None:
        for connection in self._all:
            connection.close()

    def _ask(self, connection: _Connection, number: int) -> None:
        connection.ask(number, self.stream.requests[number % len(self.stream.requests)])

    def _due(self, number: int) -> float:
        return self.begin + number / self.stream.rate

    def __repr__(self) -> str:
        return f"{self.stream.name} {self.open} of {self._count} open"


class _Connection(asyncio.Protocol):
    """One keep-alive connection with at most one request under way."""

    def __init__(self, flow: _Flow) -> None:
        self._flow = flow
        self._parser = httptools.HttpResponseParser(self)
        self._transport: asyncio.Transport | None = None
        self._number = -1
        self._closing = False

    def ask(self, number: int, request: bytes) -> None:
        self._number = number
        if self._transport is not None:
            self._transport.write(request)

    def close(self) -> None:
        self._closing = True
        if self._transport is not None:
            self._transport.abort()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        self._flow.opened(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except httptools.HttpParserError as error:
            self._flow.fail(f"no answer that can be read: {error}")

    def on_message_complete(self) -> None:
        number, self._number = self._number, -1
        if number < 0:
            self._flow.fail("an answer that was not asked for")
        else:
            self._flow.answered(self, number, self._parser.get_status_code())

    def connection_lost(self, error: Exception | None) -> None:
        if not self._closing:
            self._flow.fail(f"a connection was lost: {error or 'it was closed'}")


def posts(path: str, kind: str, bodies: Sequence[bytes], host: str) -> list[bytes]:
    """Questions as a page's script sends them, for each body one."""
    fields = (
        f"POST {path} HTTP/1.1",
        f"Host: {host}",
        "Connection: keep-alive",
        'sec-ch-ua-platform: "Windows"',
        f"User-Agent: {_AGENT}",
        'sec-ch-ua: "Chromium";v="139", "Google Chrome";v="139", "Not?A_Brand";v="99"',
        f"Content-Type: {kind}",
        "sec-ch-ua-mobile: ?0",
        "Accept: */*",
        f"Origin: https://{host}",
        "Sec-Fetch-Site: same-origin",
        "Sec-Fetch-Mode: cors",
        "Sec-Fetch-Dest: empty",
        f"Referer: https://{host}/",
        "Accept-Encoding: gzip, deflate, br, zstd",
        "Accept-Language: en-GB,en;q=0.9",
    )
    head = "\r\n".join(fields)
    return [f"{head}\r\nContent-Length: {len(body)}\r\n\r\n".encode() + body for body in bodies]
