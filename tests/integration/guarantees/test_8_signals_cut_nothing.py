"""Guarantee 8: SIGTERM refuses no connection and cuts no exchange inside the grace; SIGHUP cuts nothing.

A slow download, a slow upload and a WebSocket are under way on every worker while the signals come.

Seen to fail: with ``Server.drain`` of listener/server.py closing its listeners before the delay (connections are
refused); with a grace of nothing there, and with a new generation that kills the one before it (downloads, uploads and
WebSockets are cut).
"""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpServer

from tests.integration.guarantees.crowd import once
from tests.support.ports import accepts, free_port, wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import config, request

PIECE = bytes(range(256)) * 256
PIECES = 8
EACH = 6  # exchanges of each kind: enough to be on both workers


async def until(condition: Callable[[], bool], what: str) -> None:
    await asyncio.to_thread(wait_until, condition, what)


class Origin:
    """Sends, takes and echoes piece by piece; the first piece at once, each further one when :meth:`go_on` says so."""

    def __init__(self) -> None:
        self._steps = asyncio.Condition()
        self._step = 0
        self.taken: list[bytes] = []

    def app(self) -> web.Application:
        app = web.Application(client_max_size=0)
        app.router.add_get("/download", self._download)
        app.router.add_put("/upload", self._upload)
        app.router.add_get("/echo", self._echo)
        app.router.add_get("/", self._plain)
        return app

    async def go_on(self) -> None:
        async with self._steps:
            self._step += 1
            self._steps.notify_all()

    async def step(self, number: int) -> None:
        async with self._steps:
            await self._steps.wait_for(lambda: self._step >= number)

    async def _plain(self, asked: web.Request) -> web.Response:
        return web.Response(text="ok", headers={"Cache-Control": "no-store"})

    async def _download(self, asked: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(headers={"Cache-Control": "no-store"})
        await answer.prepare(asked)
        for number in range(PIECES):
            await self.step(number)
            await answer.write(PIECE)
        await answer.write_eof()
        return answer

    async def _upload(self, asked: web.Request) -> web.Response:
        body = b""
        async for chunk in asked.content.iter_any():
            body += chunk
        return web.Response(text=str(len(body)) if body == PIECE * PIECES else "another body")

    async def _echo(self, asked: web.Request) -> web.WebSocketResponse:
        socket = web.WebSocketResponse()
        await socket.prepare(asked)
        async for message in socket:
            await socket.send_str(f"{message.data} again")
        return socket


class Traffic:
    """Downloads, uploads and WebSockets that go on for as long as the origin lets them."""

    def __init__(self, edge: EdgeProcess, origin: Origin, session: aiohttp.ClientSession) -> None:
        self._edge = edge
        self._origin = origin
        self._session = session
        self._sockets: list[aiohttp.ClientWebSocketResponse] = []
        self._work: list[asyncio.Task[None]] = []
        self.begun = 0

    async def start(self, *, sockets: bool = True) -> None:
        self._work = [asyncio.create_task(work()) for work in (self._download, self._upload) for _ in range(EACH)]
        self._sockets = [await self._session.ws_connect(f"{self._edge.url}/echo") for _ in range(EACH * sockets)]
        await until(lambda: self.begun == 2 * EACH, "downloads and uploads are under way")
        await self.talk()

    async def talk(self) -> None:
        for number, socket in enumerate(self._sockets):
            await socket.send_str(f"message {number}")
            assert await socket.receive_str(timeout=5) == f"message {number} again"

    async def finish(self) -> None:
        """Let everything end; raises for what was cut."""
        for _ in range(PIECES):
            await self._origin.go_on()
        async with asyncio.timeout(15):
            await asyncio.gather(*self._work)
        await self.talk()
        for socket in self._sockets:
            await socket.close()

    async def _download(self) -> None:
        async with self._session.get(f"{self._edge.url}/download") as answer:
            assert answer.status == 200
            body = await answer.content.readexactly(len(PIECE))
            self.begun += 1
            assert body + await answer.read() == PIECE * PIECES

    async def _upload(self) -> None:
        async def pieces() -> AsyncIterator[bytes]:
            for number in range(PIECES):
                await self._origin.step(number)
                yield PIECE
                self.begun += number == 0

        async with self._session.put(f"{self._edge.url}/upload", data=pieces()) as answer:
            assert (answer.status, await answer.text()) == (200, str(len(PIECE) * PIECES))


@pytest.fixture
async def origin() -> Origin:
    return Origin()


@pytest.fixture
async def whole(origin: Origin, aiohttp_server: AiohttpServer) -> Callable[..., dict[str, Any]]:
    server = await aiohttp_server(origin.app())
    return lambda **more: config(f"http://127.0.0.1:{server.port}", workers=2, **{"log": {"access": False}, **more})


@pytest.fixture
async def edge(whole: Callable[..., dict[str, Any]]) -> AsyncIterator[EdgeProcess]:
    with EdgeProcess(whole(drain={"grace": "20s", "delay": "1s"})) as edge:
        yield edge


@pytest.fixture
async def traffic(edge: EdgeProcess, origin: Origin) -> AsyncIterator[Traffic]:
    timeout = aiohttp.ClientTimeout(total=30)
    async with aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0), timeout=timeout) as session:
        yield Traffic(edge, origin, session)


async def reloaded(edge: EdgeProcess, times: int) -> None:
    await until(lambda: edge.logs().count("configuration reloaded") == times, f"{times} reloads")


async def test_sighup_cuts_nothing(
    edge: EdgeProcess, traffic: Traffic, origin: Origin, whole: Callable[..., dict[str, Any]]
) -> None:
    """Nor one that changes nothing, nor one that changes pools and limits, nor one that changes the listeners."""
    await traffic.start()
    workers = edge.worker_pids()
    edge.reload()
    await reloaded(edge, 1)
    await origin.go_on()
    changed = whole(limits={"idle_timeout": "20s"}, drain={"grace": "20s"})
    changed["pools"]["site"]["timeouts"] = {"first_byte": "20s"}
    edge.write(changed)
    edge.reload()
    await reloaded(edge, 2)
    await traffic.talk()
    assert edge.worker_pids() == workers
    second = free_port()
    changed["listeners"] = [{"address": f"127.0.0.1:{edge.port}"}, {"address": f"127.0.0.1:{second}"}]
    edge.write(changed)
    edge.reload()
    await reloaded(edge, 3)
    assert (await once(("127.0.0.1", second), request())).status == 200
    assert len(set(edge.worker_pids()) - set(workers)) == 2, "a new generation serves"
    await traffic.finish()


async def test_sigterm_refuses_nobody_within_the_delay_and_cuts_nothing_within_the_grace(
    edge: EdgeProcess, traffic: Traffic
) -> None:
    await traffic.start(sockets=False)
    began = time.monotonic()
    edge.process.send_signal(signal.SIGTERM)
    answered = 0
    while time.monotonic() < began + 0.9:
        got = await once(edge.address, request())
        assert got.status == 200
        answered += 1
    assert answered > 20
    await until(lambda: not accepts(edge.port), "the listeners are closed")
    assert edge.process.poll() is None, "it waits for what is under way"
    await traffic.finish()
    assert await asyncio.to_thread(edge.process.wait, 10) == 0
    assert "did not drain" not in edge.logs()
