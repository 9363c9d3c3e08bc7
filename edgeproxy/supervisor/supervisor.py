"""The supervisor: opens the sockets, runs the workers, reloads, drains. It serves no exchange itself."""

from __future__ import annotations

import asyncio
import importlib
import logging
import signal
import socket
import time
from collections.abc import Coroutine, Iterable
from typing import TYPE_CHECKING, Any, TypeVar

from edgeproxy import __version__
from edgeproxy.acme.keeper import Keeper
from edgeproxy.cache.purge import Purge
from edgeproxy.config.admin import AdminConfig
from edgeproxy.config.errors import ConfigErrors
from edgeproxy.config.load import load_text, read_file
from edgeproxy.config.schema import Config, DrainConfig
from edgeproxy.config.units import AddressValue, parse_address
from edgeproxy.config.watch import Watch, files_of
from edgeproxy.observe import error_log
from edgeproxy.observe.metrics import Dump, Metrics
from edgeproxy.supervisor.bus import BusError
from edgeproxy.supervisor.draining import Draining
from edgeproxy.supervisor.folder import Folder
from edgeproxy.supervisor.generation import Generation
from edgeproxy.supervisor.history import History
from edgeproxy.supervisor.process import WorkerProcess
from edgeproxy.supervisor.purging import Purging
from edgeproxy.supervisor.sockets import HANDSHAKES, ListenError, Sockets, listen_alone
from edgeproxy.supervisor.stats import stats
from edgeproxy.supervisor.totals import Totals

if TYPE_CHECKING:
    from edgeproxy.supervisor.admin import Admin

logger = logging.getLogger("edgeproxy.supervisor")

COLLECT_EVERY = 5.0  # seconds between looks at the workers' counters: what a worker that is killed may take along

_T = TypeVar("_T")

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
        self._folder: Folder | None = None
        self._totals = Totals()
        self._history = History(time.monotonic())
        self._admin: Admin | None = None
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
        self._purging = Purging(self._ask, self._metrics)
        self._draining = Draining(self._ask)
        self._keeper = Keeper(self._metrics)
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
        except (BusError, ListenError, OSError) as error:
            return _failed(str(error).splitlines())
        finally:
            tasks = list(self._tasks)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await asyncio.gather(*(generation.kill() for generation in self._generations))
            await self._serve_admin(None)
            await self._purging.join(None)
            await self._keeper.close()
            self._sockets.close()
            if self._folder is not None:
                self._folder.close()

    def _end(self, life: asyncio.Task[None]) -> None:
        """The first signal drains; another one, or one before the start is through, ends all at once."""
        self._stops += 1
        if self._stops > 1 or self._generation is None:
            life.cancel()
        self._stop.set()

    async def _live(self) -> None:
        text, config = _read(self._path)
        error_log.configure(config.log.level, "edgeproxy")
        admin = None if config.admin is None else _listen_admin(config.admin)
        self._config = config
        beginning = self._spawn(self._begin(text, config))
        await self._serve_admin(admin)
        self._generation = await beginning
        self._announce(config)
        await self._purging.join(config.cache)
        await self._keeper.use(text, self._path, config)
        self._watch.watch(files_of(self._path, config))
        background = (self._spawn(self._watch.run(self._file_changed)), self._spawn(self._collect_always()))
        await self._stop.wait()
        logger.info("draining")
        for task in background:
            task.cancel()
        await self._drain(self._config.drain)

    async def _drain(self, drain: DrainConfig) -> None:
        for generation in self._generations:
            self._retire(generation, drain.delay + HANDSHAKES)
        await asyncio.sleep(drain.delay)
        self._sockets.release()
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
                return self._refuse(str(error).splitlines())
            except Exception as error:  # noqa: BLE001 -- whatever a file brings about, what runs goes on
                return self._refuse([f"internal error: {type(error).__name__}: {error}"])
            self._config = config
            await self._purging.join(config.cache)
            await self._keeper.use(text, self._path, config)
            self._last_reload_ok = True
            self._reloads.inc()
            self._watch.watch(files_of(self._path, config))
            error_log.configure(config.log.level, "edgeproxy")
            logger.info("configuration reloaded")
            return []

    def _refuse(self, lines: list[str]) -> list[str]:
        self._last_reload_ok = False
        self._failures.inc()
        for line in lines:
            logger.error("configuration not reloaded: %s", line)
        return lines

    async def _apply(self, text: str, config: Config) -> None:
        before, generation = self._config, self._generation
        if before is None or generation is None:
            raise BusError("the proxy has not started")
        moved = _admin_address(config) != _admin_address(before)
        admin = _listen_admin(config.admin) if moved and config.admin is not None else None
        try:
            same = config.listeners == before.listeners and config.acme == before.acme  # listeners look into its folder
            if same and config.worker_count == generation.size:
                await generation.reload(text, config.drain.grace)
            else:
                await self._replace(generation, text, config, before)
        except BaseException:
            if admin is not None:
                admin.close()
            raise
        if moved:
            await self._serve_admin(admin)

    async def _replace(self, old: Generation, text: str, config: Config, before: Config) -> None:
        """Start new workers beside the old ones, on the same sockets where addresses stay; then the old ones drain."""
        try:
            self._generation = await self._begin(text, config)
        except BaseException:
            self._sockets.keep(_addresses(before), old.size)
            raise
        self._retire(old, HANDSHAKES)
        self._sockets.keep(_addresses(config), self._generation.size)
        self._announce(config)

    async def _begin(self, text: str, config: Config) -> Generation:
        size, addresses = config.worker_count, _addresses(config)
        self._sockets.provide(addresses, size)
        sockets = [self._sockets.lend(addresses, number) for number in range(size)]
        self._folder = self._folder or Folder()
        changed = self._purging.changed
        generation = Generation(text, self._path, sockets, self._folder.path, self._totals, self._metrics, changed)
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

    async def _serve_admin(self, sock: socket.socket | None) -> None:
        """Have the admin listener on ``sock``, or none, in place of the one before."""
        if self._admin is not None:
            await self._admin.close()
            self._admin = None
        if sock is not None:
            # aiohttp takes its time; the workers start meanwhile.
            await asyncio.to_thread(importlib.import_module, "edgeproxy.supervisor.admin")
            from edgeproxy.supervisor.admin import Admin

            self._admin = Admin(self)
            await self._admin.serve(sock)

    # What the admin listener shows and steers.

    def health(self) -> dict[str, Any]:
        generation = self._generation
        ready, size = (0, 0) if generation is None else (generation.ready, generation.size)
        if self._stop.is_set():
            status = "draining"
        elif generation is None:
            status = "starting"
        else:
            status = "ready" if ready == size else "degraded" if ready else "down"
        return {"status": status, "workers": {"configured": size, "ready": ready}}

    def config(self) -> dict[str, Any]:
        return {} if self._config is None else self._config.model_dump(mode="json")

    def hosts(self) -> tuple[str, ...]:
        return () if self._config is None or self._config.admin is None else self._config.admin.hosts

    def token(self) -> str | None:
        return None if self._config is None or self._config.admin is None else self._config.admin.secret()

    async def metrics(self) -> Dump:
        await self._collect()
        return self._totals.sum(self._metrics.dump())

    async def pools(self) -> list[dict[str, Any]]:
        return [
            {"pid": worker.pid, "error": str(answer)}
            if isinstance(answer, BaseException)
            else {"pid": worker.pid, "pools": answer}
            for worker, answer in await self._ask("pools")
        ]

    async def stats(self) -> dict[str, Any]:
        dump, tops, pools = await asyncio.gather(self.metrics(), self._ask("top"), self.pools())
        heard = [answer for _, answer in tops if not isinstance(answer, BaseException)]
        return stats(self.health(), self._history, dump, heard, pools)

    async def purge(self, purges: list[Purge]) -> tuple[int, list[str]]:
        return await self._purging.purge(purges)

    async def drain(self, pool: str, endpoint: str, *, undo: bool) -> list[str]:
        if self._folder is None:
            return ["the proxy is starting"]
        return await self._draining.order(self._folder.path, pool, endpoint, undo=undo)

    async def _reopen(self) -> None:
        for worker, answer in await self._ask("reopen"):
            if isinstance(answer, BaseException):
                logger.error("worker %d: log not reopened: %s", worker.pid, answer)

    async def _collect(self) -> None:
        for worker, answer in await self._ask("metrics"):
            if not isinstance(answer, BaseException):
                self._totals.seen(worker.pid, answer)

    async def _collect_always(self) -> None:
        while True:
            await asyncio.sleep(COLLECT_EVERY)
            self._history.add(time.monotonic(), await self.metrics())

    async def _ask(self, what: str, **arguments: Any) -> list[tuple[WorkerProcess, Any]]:
        """Ask all workers there are, the draining ones included."""
        answers = await asyncio.gather(*(generation.ask(what, **arguments) for generation in self._generations))
        return [answer for part in answers for answer in part]

    def _count_workers(self) -> list[tuple[tuple[str, ...], float]]:
        health = self.health()["workers"]
        alive = sum(len(generation.workers) for generation in self._generations)
        return [
            (("configured",), health["configured"]),
            (("ready",), health["ready"]),
            (("other",), alive - health["ready"]),
        ]

    @property
    def _generations(self) -> list[Generation]:
        current = [] if self._generation is None or self._generation in self._leaving else [self._generation]
        return [*current, *self._leaving]

    def _announce(self, config: Config) -> None:
        if config.admin is not None:
            logger.info("admin on %s", _url(parse_address(config.admin.address), tls=False))
        tls = {listener.address for listener in config.listeners if listener.tls is not None}
        for listener, address in self._sockets.bound():
            logger.info("listening on %s", _url(address, tls=listener in tls))

    def _spawn(self, work: Coroutine[Any, Any, _T]) -> asyncio.Task[_T]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return task


def _read(path: str) -> tuple[str, Config]:
    """The text of a configuration and what it says. Raises ConfigErrors."""
    text = read_file(path)
    return text, load_text(text, path)


def _addresses(config: Config) -> list[AddressValue]:
    """Those of connections first: datagrams take their port."""
    addresses = [parse_address(listener.address) for listener in config.listeners]
    speaking = [parse_address(listener.address) for listener in config.listeners if "h3" in listener.spoken]
    return addresses + [address._replace(datagrams=True) for address in speaking]


def _admin_address(config: Config) -> str | None:
    return None if config.admin is None else config.admin.address


def _listen_admin(config: AdminConfig) -> socket.socket:
    return listen_alone(parse_address(config.address))


def _url(address: AddressValue, *, tls: bool) -> str:
    if address.path or address.datagrams:
        return str(address)
    return f"{'https' if tls else 'http'}://{address}"


def _failed(lines: Iterable[str]) -> int:
    for line in lines:
        logger.error("%s", line)
    return FAILED
