"""A pool's endpoints over time: checks and failures take endpoints out and in again."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.least_request import LeastRequest
from edgeproxy.balance.levels import Levels
from edgeproxy.balance.member import Balancer
from edgeproxy.balance.pace import Usual
from edgeproxy.balance.table import balancer
from edgeproxy.clock import Clock
from edgeproxy.config.pools import EndpointConfig, PoolConfig
from edgeproxy.config.units import EndpointValue
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.observe.metrics import Metrics
from edgeproxy.origin import health
from edgeproxy.origin.connect import Connector
from edgeproxy.origin.discovery import Discovery
from edgeproxy.origin.endpoint import Endpoint, Report
from edgeproxy.origin.learning import Learning
from edgeproxy.origin.regions import Regions
from edgeproxy.origin.standing import Standing
from edgeproxy.origin.warm import Warm
from edgeproxy.pipeline.exchange import Place

logger = logging.getLogger("edgeproxy.origin")

FEW = 64  # endpoints up to which a change is seen to at once; of more, many may change together
PAUSE = 0.05  # seconds in which their changes are gathered


class Members:
    """``endpoints`` are all in service; ``panicking`` tells that none of them is fit, so that all are used."""

    def __init__(
        self,
        name: str,
        config: PoolConfig,
        clock: Clock,
        metrics: Metrics,
        report: Report,
        more: Callable[[], None],
        down: Callable[[Endpoint], None],
    ) -> None:
        """``more`` is called when more may be fit than before, ``down`` with an endpoint that has fallen silent. Raises
        ValueError if a file cannot be used."""
        self._name = name
        self._config = config
        self._now = clock.monotonic
        self._report = report
        self._more = more
        self._down = down
        self._usual = Usual()
        self._connector = Connector(name, config)
        self._discovery = Discovery(name, config, self._made, self._discovered)
        self._warm = Warm(config.keepalive.warm, lambda: self.endpoints)
        self._levels: Levels[Endpoint] | None = None
        self._regions = None if config.prefer is None else Regions(config.regions, config.prefer, self._fit_ones)
        self._watches: dict[Endpoint, asyncio.Task[None]] = {}
        self._refreshing: asyncio.TimerHandle | None = None
        self._drained: set[str] = set()
        self.standing = Standing(name, config, clock.monotonic, metrics, self._changed, down, lambda: self.endpoints)
        self.learning: Learning | None = None
        self._balancer: Callable[[Sequence[Endpoint]], Balancer[Endpoint]]
        method = config.balance
        if method == "learned":
            self.learning = Learning(name, config.learned, metrics)
            self._balancer = self.learning.balancer
        else:
            self._balancer = lambda members: balancer(method, members, config.hash.load)
        self._running = False
        self.endpoints: list[Endpoint] = []
        self._by_key: dict[bytes, Endpoint] = {}
        self.panicking = False

    async def start(self) -> None:
        self._running = True
        self._connector.start()
        await self._discovery.start()
        self._warm.start()

    async def stop(self) -> None:
        """End look-ups and checks; close what is idle. Exchanges under way go on to their end."""
        self._running = False
        await self._warm.stop()
        await self._discovery.stop()
        await self._connector.stop()
        for watch in self._watches.values():
            watch.cancel()
        await asyncio.gather(*self._watches.values(), return_exceptions=True)
        self.standing.stop()
        if self.learning is not None:
            self.learning.end()
        if self._refreshing is not None:
            self._refreshing.cancel()
        self._watches.clear()
        for endpoint in self.endpoints:
            endpoint.wind_down()  # and not out of service: an exchange that began before may still be to be sent

    def regions(self, place: Place) -> tuple[str, ...]:
        """The regions in the order that suits a client there; () where none comes before another."""
        return () if self._regions is None else self._regions.order(place, self._now())

    @property
    def region_seconds(self) -> dict[str, float]:
        """What each region took when they were last compared, as far as that was known."""
        return {} if self._regions is None else self._regions.seconds

    def pick(self, ask: Ask, tried: Sequence[Endpoint], *, safe: bool = False) -> Endpoint | None:
        """The endpoint for the next try, rather one not ``tried``; None if none can take a request. ``safe``: it can be
        made again elsewhere, so that it may be what an endpoint shows on trial whether it serves."""
        levels = self._levels
        if levels is None:
            return None
        if ask.wanted and not tried:
            wanted = self._by_key.get(ask.wanted)
            if wanted is not None and wanted.fit and wanted.free:
                return wanted
        if self.standing.trials and not tried:
            endpoint = self.standing.on_trial(ask, safe=safe)
            if endpoint is not None:
                return endpoint
        picked = levels.pick(ask)
        if picked.in_flight < picked.limit and (picked.fit or self.panicking) and picked not in tried:
            return picked
        for fit in levels.ranked(ask):
            others = [other for other in fit if other.fit and other.free and other not in tried]
            if others:
                return LeastRequest(others).pick(ask)
        free = [other for other in self.endpoints if other.usable and other.free]
        if self.panicking:
            choice = [other for other in free if other not in tried] or free
        else:
            choice = [other for other in free if other.fit]
        return LeastRequest(choice).pick(ask) if choice else None

    def another(self, ask: Ask, tried: Sequence[Endpoint]) -> Endpoint | None:
        """An endpoint not tried yet, if there is one."""
        endpoint = self.pick(ask, tried) if self.several else None
        return None if endpoint in tried else endpoint

    @property
    def several(self) -> bool:
        """Whether there is more than one to choose from."""
        return len(self.endpoints) > 1

    def missing(self) -> EdgeError:
        """Why there is nothing to pick, unless that is because all have their hands full."""
        if self.endpoints:
            return EdgeError(Kind.NO_ENDPOINT, "edge", f"every endpoint of {self._name} is drained")
        return EdgeError(Kind.DNS, "origin", f"no name of {self._name} has an address")

    @property
    def full(self) -> bool:
        """Whether those that may be asked have their hands full."""
        return self._levels is not None

    def drain(self, address: str, *, undo: bool = False) -> bool:
        """Give it no new requests, or some again; whether there is such an endpoint. Names that lead to the same
        address later are meant, too."""
        (self._drained.discard if undo else self._drained.add)(address)
        found = [endpoint for endpoint in self.endpoints if endpoint.address == address]
        for endpoint in found:
            if endpoint.draining and undo:
                self.standing.start_slowly(endpoint)
            endpoint.draining = endpoint.entry.drain or not undo
        self.refresh()
        return bool(found)

    def refresh(self) -> None:
        """Look anew at which endpoints are fit."""
        usable = [endpoint for endpoint in self.endpoints if endpoint.usable]
        fit = self._fit_ones()
        panicking = not fit and bool(usable)
        if panicking and not self.panicking:
            logger.error("pool %s: no endpoint is fit, so all are used", self._name)
        self.panicking = panicking
        self._levels = Levels(usable, fit, self._balancer) if usable else None
        self._more()

    def _fit_ones(self) -> list[Endpoint]:
        return [endpoint for endpoint in self.endpoints if endpoint.fit]

    def _changed(self) -> None:
        """An endpoint's fitness has changed. Those that came to be unfit are not picked, whatever balancers know."""
        if len(self.endpoints) <= FEW:
            self.refresh()
        elif self._refreshing is None:
            self._refreshing = asyncio.get_running_loop().call_later(PAUSE, self._refresh_later)

    def _refresh_later(self) -> None:
        self._refreshing = None
        self.refresh()

    # Discovery.

    def _made(self, entry: EndpointConfig, value: EndpointValue, addresses: tuple[str, ...]) -> Endpoint:
        dialer = self._connector.dialer(value, addresses)
        return Endpoint(entry, value, dialer, self._config, self._report, self._usual)

    def _discovered(self, gone: Sequence[Endpoint]) -> None:
        """Endpoints came, went, or have other settings."""
        for endpoint in gone:
            endpoint.retire()
            self.standing.forget(endpoint)
            watch = self._watches.pop(endpoint, None)
            if watch is not None:
                watch.cancel()
        self.endpoints = self._discovery.endpoints
        self._by_key = {endpoint.key: endpoint for endpoint in self.endpoints}
        checks = self._config.health
        for endpoint in self.endpoints:
            endpoint.draining = endpoint.entry.drain or endpoint.address in self._drained
            if checks is not None and self._running and endpoint not in self._watches:
                watching = health.watch(endpoint, checks, self._judged, len(self.endpoints))
                self._watches[endpoint] = asyncio.create_task(watching)
        self.refresh()

    def _judged(self, endpoint: Endpoint) -> None:
        level = logging.INFO if endpoint.healthy else logging.WARNING
        judgement = "passes" if endpoint.healthy else "fails"
        logger.log(level, "pool %s: %s %s its health checks", self._name, endpoint.address, judgement)
        if endpoint.healthy:
            self.standing.passes(endpoint)
        self._changed()
        if not endpoint.healthy:
            self._down(endpoint)

    def __repr__(self) -> str:
        return f"<Members {self.endpoints!r}{' panicking' if self.panicking else ''}>"
