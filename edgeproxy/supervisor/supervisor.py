"""The supervisor: opens the sockets, runs the workers, reloads, drains. It serves no exchange itself."""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import time
from collections.abc import Coroutine
from pathlib import Path
from typing import Any

from edgeproxy import __version__
from edgeproxy.cache.key import of_url
from edgeproxy.config.errors import ConfigErrors
from edgeproxy.config.load import load_file, load_text
from edgeproxy.config.schema import AdminConfig, Config
from edgeproxy.config.units import AddressValue, parse_address
from edgeproxy.config.watch import Watch, files_of
from edgeproxy.observe import error_log
from edgeproxy.observe.metrics import Dump, Metrics
from edgeproxy.supervisor.admin import Admin
from edgeproxy.supervisor.bus import BusError
from edgeproxy.supervisor.generation import Generation
from edgeproxy.supervisor.sockets import ListenError, Sockets
from edgeproxy.supervisor.totals import Totals

logger = logging.getLogger("edgeproxy.supervisor")

COLLECT_EVERY = 5.0  # seconds between looks at the workers' counters: what a worker that is killed may take along

FAILED = 1
CUT_SHORT = 130


class Supervisor:
    """One run of the proxy with the configuration file at ``path``."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._config: Config | None = None
        self._generation: Generation | None = None
        self._leaving: dict[Generation, asyncio.Task[None]] = {}
        self._sockets = Sockets()
        self._totals = Totals()
        self._admin = Admin(self)
        self._watch = Watch([path])
        self._tasks: set[asyncio.Task[Any]] = set()
        self._reloading = asyncio.Lock()
        self._stop = asyncio.Event()
        self._stops = 0
        self._last_reload_ok = True
        self._metrics = Metrics()
        self._reloads = self._metrics.counter("edgeproxy_config_reloads_total", "Configurations put into service.")
        self._failures = self._metrics.counter(
            "edgeproxy_config_reload_failures_total", "Configurations refused; the one before went on."
        )
        self._metrics.gauge(
            "edgeproxy_config_last_reload_ok",
            "1 if the file as it is was put into service, 0 if it was refused.",
            (),
            lambda: [((), float(self._last_reload_ok))],
        )
        self._metrics.gauge("edgeproxy_workers", "Workers by state.", ("state",), self._count_workers)
        self._metrics.gauge("edgeproxy_info", "Always 1.", ("version",), lambda: [((__version__,), 1.0)])

    async def run(self) -> int:
        """From start to the end of the last exchange; returns the exit status."""
        loop = asyncio.get_running_loop()
        life = loop.create_task(self._live())
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self._end, life)
        loop.add_signal_handler(signal.SIGHUP, lambda: self._spawn(self.reload()))
        loop.add_signal_handler(signal.SIGUSR1, lambda: self._spawn(self._reopen()))
        try:
            await asyncio.wait((life,))
            if life.cancelled():
                return CUT_SHORT if self._stops > 1 else 0
            life.result()
            return 0
        except ConfigErrors as errors:
            return _failed(map(str, errors.errors))
        except (BusError, ListenError) as error:
            return _failed(str(error).splitlines())
        finally:
            for task in list(self._tasks):
                task.cancel()
            await asyncio.gather(*(generation.kill() for generation in self._generations))
            await self._admin.close()
            self._sockets.close()

    def _end(self, life: asyncio.Task[None]) -> None:
        """The first signal drains; another one, or one before the start is through, ends all at once."""
        self._stops += 1
        if self._stops > 1 or self._generation is None:
            life.cancel()
        self._stop.set()

    async def _live(self) -> None:
        text, config = _read(self._path)
        error_log.configure(config.log.level, "edgeproxy")
        if config.admin is not None:
            await self._admin.serve(Admin.listen(config.admin))
        self._config = config
        self._generation = await self._begin(text, config)
        self._announce(config)
        self._watch.watch(files_of(self._path, config))
        background = (self._spawn(self._watch.run(self._file_changed)), self._spawn(self._collect_always()))
        await self._stop.wait()
        logger.info("draining")
        for task in background:
            task.cancel()
        await self._drain(self._config.drain)

    async def _drain(self, drain: DrainConfig) -> None:
        self._sockets.release()
        for generation in self._generations:
            self._retire(generation, drain.delay)
        await asyncio.gather(*self._leaving.values())
        logger.info("drained")

    # What the configuration's file says.

    async def reload(self) -> list[str]:
        """Put the file as it is now into service; returns what was wrong, in which case nothing has changed."""
        async with self._reloading:
            if self._stop.is_set() or self._generation is None:
                return ["the proxy is starting or draining"]
            try:
                text, config = _read(self._path)
                await self._apply(text, config)
            except (ConfigErrors, ListenError, BusError) as error:
                self._last_reload_ok = False
                self._failures.inc()
                lines = str(error).splitlines()
                for line in lines:
                    logger.error("configuration not reloaded: %s", line)
                return lines
            self._config = config
            self._last_reload_ok = True
            self._reloads.inc()
            self._watch.watch(files_of(self._path, config))
            error_log.configure(config.log.level, "edgeproxy")
            logger.info("configuration reloaded")
            return []

    async def _apply(self, text: str, config: Config) -> None:
        before, generation = self._config, self._generation
        if before is None or generation is None:
            raise BusError("the proxy has not started")
        moved = config.admin != before.admin
        admin = Admin.listen(config.admin) if moved and config.admin is not None else None
        try:
            if config.listeners == before.listeners and _workers(config) == generation.size:
                await generation.reload(text, config.drain.grace)
            else:
                await self._replace(generation, text, config, before)
        except BaseException:
            if admin is not None:
                admin.close()
            raise
        if moved:
            await self._admin.close()
        if admin is not None:
            await self._admin.serve(admin)

    async def _replace(self, old: Generation, text: str, config: Config, before: Config) -> None:
        """Start new workers beside the old ones, on the sockets of addresses that stay; when they serve, the old drain."""
        try:
            self._generation = await self._begin(text, config)
        except BaseException:
            self._sockets.keep(_addresses(before), old.size)
            raise
        self._retire(old, 0.0)
        self._sockets.keep(_addresses(config), self._generation.size)
        self._announce(config)

    async def _begin(self, text: str, config: Config) -> Generation:
        size = _workers(config)
        self._sockets.provide(_addresses(config), size)
        generation = Generation(text, self._path, size, self._sockets, self._totals, self._metrics)
        await generation.start()
        return generation

    def _retire(self, generation: Generation, delay: float) -> None:
        """Drain a generation in the background."""
        if generation in self._leaving or self._config is None:
            return
        task = self._leaving[generation] = self._spawn(generation.drain(self._config.drain.grace, delay))
        task.add_done_callback(lambda _: self._leaving.pop(generation, None))

    async def _file_changed(self) -> None:
        logger.info("a file of the configuration changed")
        await self.reload()
