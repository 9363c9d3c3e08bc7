"""The way to Redis: one server, a Cluster or Sentinels, asked within a time and behind a breaker.

Redis is never needed: while it does not answer, a call costs a comparison, and what it was for is done without.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterable
from typing import Any, Literal, NamedTuple, TypeVar
from urllib.parse import urlsplit

from edgeproxy.breaker import Breaker
from edgeproxy.clock import Clock
from edgeproxy.observe.metrics import Metrics

logger = logging.getLogger("edgeproxy.redis")

TRIAL = 2.0  # seconds for a trial, which may have to connect first
AGAIN = 0.25  # seconds after which a task that did not end is cancelled once more
BETWEEN = 1.0  # seconds between looks at whether it is there, or a trial due

Topology = Literal["single", "cluster", "sentinel"]
T = TypeVar("T")


class Settings(NamedTuple):
    """Where Redis is and how it is used. ``urls``: the server, or some of a cluster's nodes or of the Sentinels; user,
    password and database number stand in the first. Sizes in bytes, times in seconds.
    """

    urls: tuple[str, ...]
    topology: Topology = "single"
    master: str = ""
    password: str | None = None
    ca: str | None = None
    prefix: str = "edgeproxy:"
    timeout: float = 0.05
    connections: int = 16
    largest: int = 1_000_000
    longest: float = 86_400.0


class UnavailableError(Exception):
    """Redis did not answer, or is not asked at present."""


def connect(settings: Settings, *, within: float) -> Any:
    """A client of redis-py; ``within`` are the seconds a socket may take. Connects when it is first used."""
    from redis.asyncio import Redis, RedisCluster, Sentinel
    from redis.asyncio.cluster import ClusterNode
    from redis.asyncio.retry import Retry
    from redis.backoff import NoBackoff

    options: dict[str, Any] = {
        "protocol": 2,
        "retry": Retry(NoBackoff(), 0),  # the breaker sees every failure, and decides
        "socket_timeout": within,
        "socket_connect_timeout": within,
        "max_connections": settings.connections + 1,  # one more for the trial
    }
    if settings.password is not None:
        options["password"] = settings.password
    if settings.ca is not None and settings.urls[0].startswith("rediss:"):
        options["ssl_ca_certs"] = settings.ca
    if settings.topology == "single":
        return Redis.from_url(settings.urls[0], **options)
    places = [(url.hostname or "localhost", url.port) for url in map(urlsplit, settings.urls)]
    if settings.topology == "cluster":
        nodes = [ClusterNode(host, port or 6379) for host, port in places]
        return RedisCluster.from_url(settings.urls[0], startup_nodes=nodes, **options)
    from redis.asyncio.connection import parse_url

    further = {
        key: value for key, value in parse_url(settings.urls[0]).items() if key in {"username", "password", "db"}
    }
    if settings.urls[0].startswith("rediss:"):
        further["ssl"] = True
    sentinel: Any = Sentinel  # it has no types
    sentinels = sentinel([(host, port or 26379) for host, port in places], **{**further, **options})
    return sentinels.master_for(settings.master)


async def disconnect(client: Any) -> None:
    """Let go of all its connections, those to Sentinels too."""
    manager = getattr(getattr(client, "connection_pool", None), "sentinel_manager", None)
    try:
        async with asyncio.timeout(TRIAL):
            for one in (client, *(() if manager is None else manager.sentinels)):
                await one.aclose()
    except (OSError, TimeoutError):
        pass


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancel tasks that speak with a client until they have ended: asyncio.wait_for, which it uses, may lose a
    cancellation (python/cpython#86296)."""
    left = set(tasks)
    while left:
        for task in left:
            task.cancel()
        ended, left = await asyncio.wait(left, timeout=AGAIN)
        for task in ended:
            if not task.cancelled():
                task.exception()  # seen, so that nobody logs it


async def _ping(client: Any) -> Any:
    return await client.ping()


class Link:
    """Calls on one client. ``purpose`` is what is left out while there is no answer, for the log."""

    def __init__(self, settings: Settings, purpose: str, clock: Clock, metrics: Metrics) -> None:
        self.settings = settings
        self.breaker = Breaker(clock.monotonic)
        self._purpose = purpose
        self._client = connect(settings, within=TRIAL)
        self._free = asyncio.Semaphore(settings.connections)
        self._failures = metrics.counter("edgeproxy_redis_failures_total", "Calls on Redis that failed.")
        self._unread = metrics.gauge(
            "edgeproxy_redis_up", "1 while Redis answers, 0 while it is left alone.", (), self._up, merge="min"
        )
        self._missed = False  # the log was told that Redis is away

    async def call(self, work: Callable[[Any], Awaitable[T]]) -> T:
        """What ``work`` does with the client, within the time. Raises UnavailableError."""
        if not self.breaker.closed:
            raise UnavailableError("redis is not asked at present")
        within = self.settings.timeout
        try:
            if self._free.locked():
                async with asyncio.timeout(within):
                    await self._free.acquire()
            else:
                await self._free.acquire()
        except TimeoutError:
            raise UnavailableError(f"no connection was free within {within:g}s") from None
        try:
            return await self._try(work, within)
        finally:
            self._free.release()

    async def watch(self) -> None:
        """Ask now and then whether it is there, and try again whenever a trial is due, until cancelled."""
        while True:
            try:
                if self.breaker.trial():
                    await self._try(_ping, TRIAL)
                elif self.breaker.closed:
                    await self.call(_ping)
            except UnavailableError:
                pass
            await asyncio.sleep(min(BETWEEN, self.breaker.wait) or BETWEEN)

    async def close(self) -> None:
        """Let go of all connections."""
        self._unread()
        await disconnect(self._client)

    async def _try(self, work: Callable[[Any], Awaitable[T]], within: float) -> T:
        from redis.exceptions import RedisError

        try:
            async with asyncio.timeout(within):
                done = await work(self._client)
        except (RedisError, OSError, TimeoutError) as error:
            self._failed(error)
            raise UnavailableError(str(error) or f"no answer within {within:g}s") from None
        except BaseException:
            if self.breaker.state == "half-open":
                self.breaker.failed()
            raise
        if self.breaker.succeeded() and self._missed:
            self._missed = False
            logger.info("redis answers again: %s works", self._purpose)
        return done

    def _failed(self, error: Exception) -> None:
        self._failures.inc()
        self.breaker.failed()
        if not self.breaker.closed and not self._missed:
            self._missed = True
            said = str(error) or "no answer in time"
            logger.warning("redis does not answer: %s; %s is left out until it does", said, self._purpose)

    def _up(self) -> list[tuple[tuple[str, ...], float]]:
        return [((), float(self.breaker.closed))]

    def __repr__(self) -> str:
        return f"<Link {self.breaker.state}>"
