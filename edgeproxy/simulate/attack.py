"""The attack: many addresses, each with one connection at a time."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from typing import Final

from edgeproxy.simulate.connection import Connection, connect
from edgeproxy.simulate.scenario import SLOW, Scenario

STEP: Final = 0.01  # seconds between looks at what is due
OPENING: Final = 256  # connections being opened at once
DRIP: Final = 0.5  # seconds between the bytes of a slow one
PATIENCE: Final = 5.0  # seconds to wait for the last answers
HELLO: Final = b"\x16\x03\x01\x02\x00\x01"  # the beginning of a ClientHello of 512 bytes, RFC 8446 §5.1
BODY: Final = 1_000


def source(number: int) -> str:
    """The loopback address of an attacker: 127.16.0.1 and on, 250 to a /24."""
    return f"127.{16 + number // 62_500}.{number // 250 % 250}.{number % 250 + 1}"


class Attack:
    """Plays a scenario's attack; what came of it is in ``statuses`` (0: no answer) and, for slow kinds, ``held``."""

    def __init__(self, scenario: Scenario, address: tuple[str, int]) -> None:
        self._scenario = scenario
        self._address = address
        self._connections: dict[int, Connection] = {}
        self._opening = asyncio.Semaphore(OPENING)
        self._tasks: set[asyncio.Task[None]] = set()
        self._number = 0
        self.statuses: Counter[int] = Counter()
        self.sent = 0
        self.refused = 0
        """Connections that were not taken, or closed before anything was asked on them."""
        self.held: list[float] = []
        """For how long the connections of a slow kind stayed open, in seconds."""

    async def run(self) -> None:
        if self._scenario.kind in SLOW:
            await self._hold()
        else:
            await self._flood()
        for connection in self._connections.values():
            connection.abort()

    async def _flood(self) -> None:
        """Ask at an even pace, each time from the next address; who still waits does not ask again."""
        scenario, began = self._scenario, time.monotonic()
        while self.sent < scenario.requests:
            passed = time.monotonic() - began
            due = min(scenario.requests, int(scenario.requests * passed / scenario.duration) + 1)
            while self.sent < due:
                self.sent += 1
                self._ask(self.sent % scenario.clients)
            if passed > 2 * scenario.duration:
                break
            await asyncio.sleep(STEP)
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=PATIENCE)
        waiting = [connection.idle.wait() for connection in self._connections.values()]
        await asyncio.wait([asyncio.ensure_future(one) for one in waiting], timeout=PATIENCE)

    def _ask(self, client: int) -> None:
        head = self._head()
        connection = self._connections.get(client)
        if connection is not None and connection.usable:
            connection.send(head)
            return
        task = asyncio.get_running_loop().create_task(self._open(client, head))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, client: int, head: bytes) -> None:
        async with self._opening:
            connection = Connection(lambda status, _, __: self._count(status))
            if await connect(connection, self._address, source(client)):
                self._connections[client] = connection
                connection.send(head)
            else:
                self.refused += 1

    def _count(self, status: int) -> None:
        self.statuses[status] += 1

    def _head(self) -> bytes:
        scenario = self._scenario
        self._number += 1
        target = scenario.paths[self._number % len(scenario.paths)].replace("{n}", str(self._number))
        method, more, body = "GET", "", ""
        if scenario.kind == "post":
            method, more, body = "POST", f"Content-Length: {BODY}\r\n", "x" * BODY
        return (
            f"{method} {target} HTTP/1.1\r\nHost: {scenario.host}\r\nUser-Agent: {scenario.agent}\r\n"
            f"Accept: */*\r\n{more}\r\n{body}"
        ).encode()

    # Slow kinds.

    async def _hold(self) -> None:
        """Open all connections over the first fifth of the time, and hold each for as long as the node lets."""
        scenario = self._scenario
        count, end = scenario.requests, time.monotonic() + scenario.duration
        pause = scenario.duration / 5 / count
        tasks = []
        for number in range(count):
            tasks.append(asyncio.ensure_future(self._hold_one(number, end)))
            self.sent += 1
            await asyncio.sleep(pause)
        await asyncio.wait(tasks, timeout=scenario.duration + PATIENCE)

    async def _hold_one(self, number: int, end: float) -> None:
        kind = self._scenario.kind
        connection = Connection(lambda status, _, __: self._count(status) if status else None)
        small = 4096 if kind == "slow-read" else None
        async with self._opening:
            if not await connect(
                connection, self._address, source(number % self._scenario.clients), receive_buffer=small
            ):
                self.refused += 1
                return
        self._connections[number] = connection
        self._begin(connection, kind)
        while connection.usable and time.monotonic() < end:
            await asyncio.sleep(DRIP)
            self._drip(connection, kind)
        held = (connection.closed or time.monotonic()) - connection.opened
        self.held.append(held)
        if held < DRIP / 2:
            self.refused += 1

    def _begin(self, connection: Connection, kind: str) -> None:
        begin = {
            "slow-head": self._head()[:-2],
            "slow-read": self._head(),
            "slow-body": self._head()[:-2].replace(b"GET", b"POST", 1) + b"Content-Length: 1000000\r\n\r\n",
            "handshake": HELLO,
        }.get(kind)
        if begin is not None:
            connection.send(begin)
        if kind == "slow-read" and connection.transport is not None:
            connection.transport.pause_reading()

    def _drip(self, connection: Connection, kind: str) -> None:
        if connection.transport is None or not connection.usable:
            return
        if kind == "slow-head":
            connection.transport.write(b"X: y\r\n")
        elif kind == "slow-body":
            connection.transport.write(b"x")
