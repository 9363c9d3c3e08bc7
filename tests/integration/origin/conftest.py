"""Origins made of raw sockets, which answer what a test tells them to, and pools in front of them."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import uvloop

from edgeproxy.clock import Clock
from edgeproxy.config.pools import PoolConfig
from edgeproxy.config.watch import Watch
from edgeproxy.http.body import Body
from edgeproxy.http.message import Request, Response
from edgeproxy.observe.metrics import Metrics
from edgeproxy.origin.pool import Pool
from edgeproxy.pipeline.exchange import Exchange, Peer


def pytest_asyncio_loop_factories() -> dict[str, Callable[[], asyncio.AbstractEventLoop]]:
    """What the product runs on."""
    return {"uvloop": uvloop.new_event_loop}


@dataclass
class Received:
    """One request as an origin read it."""

    line: bytes
    fields: list[tuple[bytes, bytes]]
    body: bytes = b""
    trailers: list[tuple[bytes, bytes]] = field(default_factory=list)

    def get(self, name: bytes) -> bytes | None:
        values = [value for key, value in self.fields if key == name]
        assert len(values) < 2, f"{name!r} came {len(values)} times"
        return values[0] if values else None


class Wire:
    """One connection, at the origin's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, received: list[Received]) -> None:
        self.reader = reader
        self.writer = writer
        self._received = received

    async def request(self, *, body: bool = True) -> Received:
        """Read one request. Raises IncompleteReadError when there is no further one."""
        received = await self.head()
        self._received.append(received)
        if body:
            await self.body(received)
        return received

    async def head(self) -> Received:
        head = await self.reader.readuntil(b"\r\n\r\n")
        line, *rest = head[:-4].split(b"\r\n")
        return Received(line, [_field(each) for each in rest])

    async def body(self, received: Received) -> None:
        length = received.get(b"content-length")
        if received.get(b"transfer-encoding") == b"chunked":
            while size := int(await self.reader.readline(), 16):
                received.body += (await self.reader.readexactly(size + 2))[:-2]
            while (line := await self.reader.readline()) != b"\r\n":
                received.trailers.append(_field(line.strip()))
        elif length is not None:
            received.body = await self.reader.readexactly(int(length))

    async def answer(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    def reset(self) -> None:
        """Close with RST."""
        import socket
        import struct

        wire = self.writer.get_extra_info("socket")
        wire.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.writer.transport.abort()


def _field(line: bytes) -> tuple[bytes, bytes]:
    name, _, value = line.partition(b":")
    return name.lower(), value.strip()


Script = Callable[[Wire], Awaitable[None]]


@dataclass
class Origin:
    """A running origin: where it is, what it was asked, over how many connections."""

    url: str
    requests: list[Received] = field(default_factory=list)
    connections: int = 0
    closed: int = 0
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set whenever a connection has ended."""


class Origins:
    """Starts origins; each connection runs the test's script, and is closed when that returns."""

    def __init__(self) -> None:
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def __call__(
        self, script: Script, *, tls: ssl.SSLContext | None = None, path: Path | None = None, host: str = "127.0.0.1"
    ) -> Origin:
        origin = Origin("")

        async def connection(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            self._tasks.add(task)
            origin.connections += 1
            try:
                await script(Wire(reader, writer, origin.requests))
            except (asyncio.IncompleteReadError, ConnectionError):
                pass  # the proxy left
            except asyncio.CancelledError:
                writer.transport.abort()  # the test is over
            finally:
                origin.closed += 1
                origin.ended.set()
                writer.close()
                self._tasks.discard(task)

        if path is not None:
            self._servers.append(await asyncio.start_unix_server(connection, path))
            origin.url = f"unix:{path}"
        else:
            server = await asyncio.start_server(connection, host, 0, ssl=tls)
            self._servers.append(server)
            port = server.sockets[0].getsockname()[1]
            origin.url = f"{'https' if tls else 'http'}://{host}:{port}"
        return origin

    def close(self, origin: Origin) -> None:
        """Accept no more connections there; those there are go on."""
        port = int(origin.url.rpartition(":")[2])
        for server in self._servers:
            if any(wire.getsockname()[1] == port for wire in server.sockets):
                server.close()

    async def stop(self) -> None:
        for server in self._servers:
            server.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)


@pytest.fixture
async def serve() -> AsyncIterator[Origins]:
    origins = Origins()
    yield origins
    await origins.stop()


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


@pytest.fixture
async def make_pool(metrics: Metrics) -> AsyncIterator[Callable[..., Awaitable[Pool]]]:
    """``await make_pool(endpoint, …, key=value)``: a started pool, stopped with the test."""
    pools: list[Pool] = []

    async def make(*urls: str | dict[str, Any], name: str = "site", **settings: Any) -> Pool:
        config = PoolConfig.model_validate({"endpoints": list(urls), "balance": "round_robin", **settings})
        pool = Pool(name, config, Clock(), metrics)
        pools.append(pool)
        await pool.start()
        return pool

    yield make
    for pool in pools:
        await pool.stop()


@pytest.fixture
def exchange() -> Callable[..., Exchange]:
    def make(
        method: bytes = b"GET",
        target: bytes = b"/",
        headers: dict[bytes, bytes] | None = None,
        *,
        body: Body | None = None,
        version: bytes = b"1.1",
    ) -> Exchange:
        request = Request(
            method,
            target,
            {b"host": b"www.example.com"} | (headers or {}),
            authority=b"www.example.com",
            host=b"www.example.com",
            version=version,
            body=body,
        )
        return Exchange(request, Peer("192.0.2.7", 40000, "", "", None), 0.0)

    return make


@pytest.fixture
def read() -> Callable[[Response], Awaitable[bytes]]:
    """Read an answer's body to its end."""

    async def whole(response: Response) -> bytes:
        body = response.body
        if isinstance(body, bytes):
            return body
        out = b""
        while data := await body.read():
            out += data
        return out

    return whole


@pytest.fixture
def settle() -> Callable[[Callable[[], bool]], Awaitable[None]]:
    """Wait until something holds, for a bounded number of turns of the loop and of the network."""

    async def until(holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():  # noqa: ASYNC110 -- what is waited for is in a socket, not in an event
                await asyncio.sleep(0.002)

    return until


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are followed are looked at often."""
    run = Watch.run
    monkeypatch.setattr(Watch, "run", lambda self, changed: run(self, changed, 0.02))
