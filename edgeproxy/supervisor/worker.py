"""A worker process: compiles the configuration it is sent, serves on the sockets it was lent, obeys the bus.

Run as ``python -m edgeproxy.supervisor.worker FD NODE FOLDER``: its end of the bus, the name its node drew, and the
folder the node's workers share. When the supervisor is gone, it ends its exchanges and leaves too.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import resource
import signal
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import uvloop

from edgeproxy.cache.disk_environment import note_faults
from edgeproxy.cache.improve import Settings as Improving
from edgeproxy.cache.purge import from_json as purge_from_json
from edgeproxy.cache.tiers import Tiers
from edgeproxy.clock import Clock
from edgeproxy.config.compile import activate, compile_config
from edgeproxy.config.errors import ConfigErrors
from edgeproxy.config.load import load_text, placed
from edgeproxy.config.schema import AccessLogConfig, Config, DiskConfig, DrainConfig
from edgeproxy.config.snapshot import Route, Snapshot
from edgeproxy.config.units import parse_address
from edgeproxy.http.loops import pseudonym
from edgeproxy.http.message import Request
from edgeproxy.limits.region import Region
from edgeproxy.listener.server import Server
from edgeproxy.observe import error_log
from edgeproxy.observe.access_log import AccessLog
from edgeproxy.observe.metrics import Dump, Metrics
from edgeproxy.observe.record import Observer
from edgeproxy.observe.redact import SENSITIVE, redactor
from edgeproxy.observe.top import Row
from edgeproxy.pipeline.middleware import Services
from edgeproxy.supervisor.bus import Bus
from edgeproxy.supervisor.draining import drain_again
from edgeproxy.supervisor.folder import SECRET
from edgeproxy.supervisor.heap import Heap
from edgeproxy.supervisor.spreading import Spreading

if TYPE_CHECKING:
    import aiohttp

logger = logging.getLogger("edgeproxy.worker")

PAGE = resource.getpagesize()
STOP_WITHIN = 2.0

# Exchanges make and free many small objects; what outlives them is frozen after the start and never scanned again.
GC_THRESHOLD = (50_000, 20, 50)


class Worker:
    """What the bus may ask for are its public methods."""

    def __init__(self, node: str, folder: Path) -> None:
        self._node = node
        self._folder = folder
        self._clock = Clock()
        self._metrics = Metrics()
        self._metrics.gauge(
            "edgeproxy_resident_memory_bytes", "Memory of all workers.", (), lambda: [((), _resident())]
        )
        self._heap = Heap(_resident)
        self._observer = Observer(self._metrics, self._clock)
        self._access_log: AccessLog | None = None
        self._region = Region(self._clock, self._metrics)
        self._session: aiohttp.ClientSession | None = None
        self._services: Services | None = None
        self._server: Server | None = None
        self._changing = asyncio.Lock()
        self._draining: asyncio.Task[None] | None = None
        self._gone = asyncio.Event()
        self._bus: Bus | None = None
        self._spreading = Spreading(self._tell_changed)

    async def run(self, bus_socket: socket.socket) -> None:
        """Serve until drained, or until the supervisor is gone."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._leave)
        loop.add_signal_handler(signal.SIGUSR1, self._reopen)
        does = (
            *(self.start, self.reload, self.drain, self.reopen),
            *(self.metrics, self.pools, self.top),
            *(self.purge, self.spellings, self.drained),
        )
        self._bus = bus = await Bus.over(bus_socket, {handler.__name__: handler for handler in does})
        serving = loop.create_task(bus.run())
        serving.add_done_callback(lambda _: self._leave())
        self._heap.settle()
        tending = loop.create_task(self._heap.keep())
        await self._gone.wait()
        tending.cancel()
        await bus.close()
        await serving

    async def start(self, text: str, path: str, sockets: dict[str, int]) -> None:
        """Take a first configuration into service. Raises ConfigErrors, or OSError if a file cannot be opened."""
        async with self._changing:
            config = load_text(text, path)
            tiers = Tiers(config.cache.memory, self._clock, self._metrics)
            await self._use_tiers(tiers, config)
            self._services = Services(
                self._clock,
                self._metrics,
                tiers,
                self._http,
                self._node,
                self._route,
                self._route_named,
                folder=self._folder,
                secret=(self._folder / SECRET).read_bytes(),
                region=self._region,
            )
            log = self._open_log(config.log.access)
            snapshot = self._compile(config, text, path, self._services, None)
            await activate(snapshot, None)
            drain_again(self._folder, snapshot.pools)
            server = Server(snapshot, self._clock, self._metrics, self._services.secret, self._folder)
            for listener in config.listeners:
                await server.listen(socket.socket(fileno=sockets[listener.address]), listener)
                if "h3" in listener.spoken:
                    datagrams = parse_address(listener.address)._replace(datagrams=True)
                    server.listen_datagrams(socket.socket(fileno=sockets[str(datagrams)]), listener)
            self._server = server
            self._configure_logs(config, log)
            self._observer.start()
            gc.set_threshold(*GC_THRESHOLD)
            _freeze()
            self._heap.hold(tiers.memory, config.cache.memory)

    async def reload(self, text: str, path: str) -> None:
        """Swap to another configuration for the same listeners; when it raises, nothing has changed."""
        async with self._changing:
            server, services = self._server, self._services
            if server is None or services is None:
                raise RuntimeError("the worker has not started")
            config = load_text(text, path)
            previous = server.snapshot
            snapshot = self._compile(config, text, path, services, previous)
            same_log = config.log.access == previous.config.log.access
            log = self._access_log if same_log else self._open_log(config.log.access)
            await activate(snapshot, previous, lambda new: setattr(server, "snapshot", new))
            drain_again(self._folder, snapshot.pools)
            await self._use_tiers(services.cache, config)
            server.reload_certificates()
            self._configure_logs(config, log)
            del previous
            _freeze()
            self._heap.hold(services.cache.memory, config.cache.memory)

    async def drain(self, grace: float, delay: float) -> Dump:
        """End what is under way and leave; returns the last metrics."""
        self._draining = self._draining or asyncio.get_running_loop().create_task(self._drain(grace, delay))
        await self._draining
        return self._metrics.dump()

    async def metrics(self) -> Dump:
        self._observer.flush()
        return self._metrics.dump()

    async def purge(self, purges: list[dict[str, Any]], wait: bool) -> int:
        """Forget what these match, or mark it stale; returns how many entries of L1 that were, and of L2 if it is to
        wait for that: nobody finds them there any more, but it takes its time. Raises ValueError."""
        if self._services is None:
            return 0
        count = 0
        for purge in purges:
            count += self._services.cache.purge(purge_from_json(purge, self._clock.wall()))
            await asyncio.sleep(0)  # a long list does not hold up what else is to be done
        return count + await self._services.cache.purged() if wait else count

    async def spellings(self, purges: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """The same purges as keys are spelled here, by the routes' recipes. Raises ValueError."""
        if self._services is None:
            return purges
        recipes = self._services.cache.recipes
        return [
            purge._replace(value=value).to_json()
            for purge in [purge_from_json(purge, 0.0) for purge in purges]
            for value in recipes.spellings(purge.kind, purge.value)
        ]

    async def pools(self) -> dict[str, Any]:
        """The endpoints of every pool with their state."""
        return (
            {} if self._server is None else {name: pool.state() for name, pool in self._server.snapshot.pools.items()}
        )

    async def drained(self, pool: str, endpoint: str, undo: bool) -> bool:
        """Give an endpoint no new requests, or some again; whether there is one of that name."""
        pools = {} if self._server is None else self._server.snapshot.pools
        return pool in pools and pools[pool].drain(endpoint, undo=undo)

    async def top(self) -> tuple[float, list[Row]]:
        """The URLs asked for most, without what the access log masks, and over how many seconds they were counted."""
        self._observer.flush()
        log = None if self._server is None else self._server.snapshot.config.log.access
        return self._observer.top.report(redactor(SENSITIVE if log is None else log.mask))

    async def reopen(self) -> None:
        """Open the access log's file anew. Raises OSError."""
        self._observer.flush()
        if self._access_log is not None:
            self._access_log.sink.reopen()

    async def _drain(self, grace: float, delay: float) -> None:
        async with self._changing:
            try:
                if self._server is not None:
                    await self._server.drain(grace, delay)
                    await self._stop_parts(self._server.snapshot)
                await self._region.close()
                if self._services is not None:
                    await self._services.cache.close()
                if self._session is not None:
                    await self._session.close()
            finally:
                self._observer.stop()
                self._gone.set()

    async def _stop_parts(self, snapshot: Snapshot) -> None:
        stops = [part.stop() for part in snapshot.pools.values()]
        stops += [part.stop() for part in snapshot.stages.values()]
        try:
            async with asyncio.timeout(STOP_WITHIN):
                await asyncio.gather(*stops, return_exceptions=True)
        except TimeoutError:
            logger.warning("a pool or stage did not stop within %gs", STOP_WITHIN)

    def _leave(self) -> None:
        """Drain as configured: the supervisor is gone, or this process was sent a SIGTERM of its own."""
        if self._draining is None:
            drain = DrainConfig() if self._server is None else self._server.snapshot.config.drain
            self._draining = asyncio.get_running_loop().create_task(self._drain(drain.grace, drain.delay))

    def _reopen(self) -> None:
        try:
            if self._access_log is not None:
                self._access_log.sink.reopen()
        except OSError as error:
            logger.error("access log not reopened: %s", error)

    def _compile(self, config: Config, text: str, path: str, services: Services, previous: Snapshot | None) -> Snapshot:
        try:
            return compile_config(config, services, previous, (self._observer.log,))
        except ConfigErrors as errors:
            raise placed(errors, text, path) from None

    def _open_log(self, config: AccessLogConfig | None) -> AccessLog | None:
        return None if config is None else AccessLog(config.format, config.file, self._metrics, config.mask)

    def _configure_logs(self, config: Config, log: AccessLog | None) -> None:
        error_log.configure(config.log.level, "worker")
        if log is self._access_log:
            return
        self._observer.flush()
        if self._access_log is not None:
            self._access_log.sink.close()
        self._access_log = log
        self._observer.write = None if log is None else log.write

    async def _use_tiers(self, tiers: Tiers, config: Config) -> None:
        cache = config.cache
        tiers.show_tags = cache.pass_tags
        tiers.node = pseudonym(config.node or self._node)
        tiers.spread = self._spreading.spread if config.worker_count > 1 else None
        redis = None if cache.redis is None else cache.redis.settings()
        await tiers.use_redis(redis)
        await self._region.use(redis, config.worker_count)
        if cache.disk is None:
            await tiers.leave_disk()
        else:
            await _use_disk(tiers, cache.disk)
        await tiers.use_improver(_improving(config))

    async def _tell_changed(self, purges: list[dict[str, Any]]) -> None:
        if self._bus is not None:
            await self._bus.ask("changed", purges=purges)

    def _route(self, request: Request) -> Route | None:
        return None if self._server is None else self._server.snapshot.route(request)

    def _route_named(self, name: str) -> Route | None:
        return None if self._server is None else self._server.snapshot.router.named(name)

    def _http(self) -> aiohttp.ClientSession:
        """The session for outbound calls, made when the first stage asks."""
        if self._session is None:
            import aiohttp

            self._session = aiohttp.ClientSession(
                timeout=aiohttp.ClientTimeout(total=30), cookie_jar=aiohttp.DummyCookieJar()
            )
        return self._session


async def _use_disk(tiers: Tiers, config: DiskConfig) -> None:
    folder = Path(config.path)
    try:
        note_faults(folder)
    except OSError:
        pass  # the tier itself says what is wrong there
    await tiers.use_disk(folder, config.size, config.inline)


def _improving(config: Config) -> Improving | None:
    improve = config.cache.improve
    if improve is None:
        return None
    shared = config.cache.disk is not None and config.worker_count > 1
    return Improving(improve.share, improve.candidates, improve.hits, improve.size, shared)


def _resident() -> int:
    return int(Path("/proc/self/statm").read_text().split()[1]) * PAGE


def _freeze() -> None:
    """Free what the last configuration leaves behind, and keep the collector off what the next exchanges share."""
    gc.unfreeze()
    gc.collect()
    gc.freeze()


def _raise_file_limit() -> None:
    """Every connection is an open file, and the usual soft limit is 1024."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def main() -> None:
    # Ctrl-C and a closed terminal are the supervisor's to answer: it drains.
    for number in (signal.SIGINT, signal.SIGHUP, signal.SIGUSR1):
        signal.signal(number, signal.SIG_IGN)
    error_log.configure("info", "worker")
    _raise_file_limit()
    uvloop.run(Worker(sys.argv[2], Path(sys.argv[3])).run(socket.socket(fileno=int(sys.argv[1]))))


if __name__ == "__main__":
    main()
