"""The proxy's own listener in this process, on a thread with its own loop: for tests that ask it very often."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Coroutine
from pathlib import Path
from typing import Any, Self, TypeVar

import aiohttp
import uvloop
import yaml

from edgeproxy.cache.tiers import Tiers
from edgeproxy.clock import Clock
from edgeproxy.config.compile import activate, compile_config
from edgeproxy.config.load import load_text
from edgeproxy.config.schema import Config
from edgeproxy.listener.server import Server
from edgeproxy.observe.metrics import Metrics
from edgeproxy.pipeline.middleware import Services

T = TypeVar("T")


class InProcessEdge:
    """Listens on a loopback port; a context manager.

    ``config`` is a configuration as a dict; its listeners are left out of it. :attr:`faults` are the errors the proxy
    logged against itself (``internal error``) and exceptions nobody caught: a test asserts that there are none.
    """

    def __init__(self, config: dict[str, Any], *, clock: Clock | None = None) -> None:
        self._socket = socket.create_server(("127.0.0.1", 0), backlog=512)
        self.port: int = self._socket.getsockname()[1]
        self.address = ("127.0.0.1", self.port)
        listeners = [{"address": f"127.0.0.1:{self.port}"}]
        self.config: Config = load_text(yaml.safe_dump({"listeners": listeners, **config}))
        self.clock = clock or Clock()
        self.faults: list[str] = []
        self._loop = uvloop.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)
        self._sessions: list[aiohttp.ClientSession] = []
        self._watch = _Faults(self.faults)

    def __enter__(self) -> Self:
        self._loop.set_exception_handler(lambda _, context: self.faults.append(repr(context)))
        logging.getLogger("edgeproxy").addHandler(self._watch)
        self._thread.start()
        try:
            self.run(self._start())
        except BaseException:
            self._halt()
            self._socket.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        try:
            self.run(self._stop())
        finally:
            self._halt()

    def run(self, work: Coroutine[Any, Any, T], timeout: float = 10.0) -> T:
        """Run a coroutine on the proxy's loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout)

    def settle(self) -> None:
        """Wait until the loop has read what has arrived: three turns of it, each with a look at its sockets."""
        for _ in range(3):
            turned = threading.Event()
            self._loop.call_soon_threadsafe(turned.set)
            turned.wait(5)

    def _halt(self) -> None:
        logging.getLogger("edgeproxy").removeHandler(self._watch)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)
        self._loop.close()

    def _session(self) -> aiohttp.ClientSession:
        if not self._sessions:
            self._sessions.append(aiohttp.ClientSession())
        return self._sessions[0]

    async def _start(self) -> None:
        metrics = Metrics()
        self.tiers = Tiers(self.config.cache.memory, self.clock, metrics)
        disk = self.config.cache.disk
        if disk is not None:
            await self.tiers.use_disk(Path(disk.path), disk.size, disk.inline)
        services = Services(self.clock, metrics, self.tiers, self._session)
        self.snapshot = compile_config(self.config, services)
        await activate(self.snapshot, None)
        self.server = Server(self.snapshot, self.clock, metrics)
        await self.server.listen(self._socket, self.config.listeners[0])

    async def _stop(self) -> None:
        await self.server.drain(0.2)
        await self.tiers.close()
        for stage in self.snapshot.stages.values():
            await stage.stop()
        for pool in self.snapshot.pools.values():
            await pool.stop()
        for session in self._sessions:
            await session.close()


class _Faults(logging.Handler):
    def __init__(self, faults: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._faults = faults

    def emit(self, record: logging.LogRecord) -> None:
        self._faults.append(record.getMessage())
