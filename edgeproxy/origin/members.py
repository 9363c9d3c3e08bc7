"""A pool's endpoints over time: names become addresses, checks and failures take endpoints out and in again."""

from __future__ import annotations

import asyncio
import logging
import ssl
from collections.abc import Sequence

from edgeproxy.clock import Clock
from edgeproxy.config.schema import PoolConfig
from edgeproxy.config.units import EndpointValue, parse_endpoint
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.origin import health, outlier, resolve
from edgeproxy.origin.balance import Balancer, LeastRequest, balancer
from edgeproxy.origin.endpoint import IN_FLIGHT_LIMIT, Endpoint, Report

logger = logging.getLogger("edgeproxy.origin")

START_WAIT = 2.0  # seconds a pool's start waits for the first answers of the resolver
UNKNOWN_RETRY = 1.0  # seconds between look-ups while a name has never had an address


class _Group:
    """What one configured endpoint has become: one endpoint for each of its addresses."""

    __slots__ = ("by_address", "value", "weight")

    def __init__(self, url: str, weight: int) -> None:
        self.value: EndpointValue = parse_endpoint(url)
        self.weight = weight
        self.by_address: dict[str, Endpoint] = {}

    @property
    def named(self) -> bool:
        """Whether it needs the resolver."""
        return not self.value.path and not resolve.is_address(self.value.host)


class Members:
    """``endpoints`` are all in service; ``panicking`` tells that none of them is fit, so that all are used."""

    def __init__(self, name: str, config: PoolConfig, clock: Clock, report: Report) -> None:
        """Raises ValueError if the authorities' file cannot be used."""
        self._name = name
        self._config = config
        self._now = clock.monotonic
        self._report = report
        self._groups = [_Group(endpoint.url, endpoint.weight) for endpoint in config.endpoints]
        self._tls = _context(config) if any(group.value.scheme == "https" for group in self._groups) else None
        self._balancer: Balancer[Endpoint] | None = None
        self._watches: dict[Endpoint, asyncio.Task[None]] = {}
        self._ejected: dict[Endpoint, asyncio.TimerHandle] = {}
        self._resolving: asyncio.Task[None] | None = None
        self._running = False
        self.endpoints: list[Endpoint] = []
        self.panicking = False

    async def start(self) -> None:
        self._running = True
        for group in self._groups:
            if not group.named:
                self._settle(group, (group.value.host,))
        self.refresh()
        if any(group.named for group in self._groups):
            first = asyncio.create_task(self._resolve())
            self._resolving = asyncio.create_task(self._resolve_on(first))
            await asyncio.wait((first,), timeout=START_WAIT)

    async def stop(self) -> None:
        """End look-ups and checks; close what is idle. Exchanges under way go on to their end."""
        self._running = False
        tasks = [task for task in (self._resolving, *self._watches.values()) if task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for timer in self._ejected.values():
            timer.cancel()
        self._watches.clear()
        self._ejected.clear()
        self._resolving = None
        for endpoint in self.endpoints:
            endpoint.retire()

    def pick(self, tried: Sequence[Endpoint]) -> Endpoint | None:
        """The endpoint for the next try, rather one not ``tried``; None if none can take a request."""
        if self._balancer is None:
            return None
        endpoint = self._balancer.pick()
        if endpoint.in_flight < IN_FLIGHT_LIMIT and endpoint not in tried:
            return endpoint
        free = [other for other in self.endpoints if other.in_flight < IN_FLIGHT_LIMIT]
        fit = free if self.panicking else [other for other in free if self._fit(other)]
        others = [other for other in fit if other not in tried] or [other for other in free if other not in tried]
        choice = others or fit
        return LeastRequest(choice).pick() if choice else None

    def missing(self) -> EdgeError:
        """Why there is nothing to pick."""
        if self.endpoints:
            return EdgeError(Kind.OVERLOADED, "edge", f"every endpoint of {self._name} has its hands full")
        return EdgeError(Kind.DNS, "origin", f"no name of {self._name} has an address")

    def failed(self, endpoint: Endpoint) -> None:
        """A request failed at ``endpoint``: it may have earned an ejection."""
        now = self._now()
        if not endpoint.record.failure(now) or endpoint.retired or endpoint in self._ejected:
            return
        if outlier.room(self._config.outlier, len(self._ejected), len(self.endpoints)):
            seconds = endpoint.record.eject(now)
            logger.warning("pool %s: %s fails, left out for %g s", self._name, endpoint.address, seconds)
            self._ejected[endpoint] = asyncio.get_running_loop().call_later(seconds, self._let_in, endpoint)
            self.refresh()

    def _let_in(self, endpoint: Endpoint) -> None:
        del self._ejected[endpoint]
        self.refresh()

    def refresh(self) -> None:
        """Look anew at which endpoints are fit."""
        fit = [endpoint for endpoint in self.endpoints if self._fit(endpoint)]
        panicking = not fit and bool(self.endpoints)
        if panicking and not self.panicking:
            logger.error("pool %s: no endpoint is fit, so all are used", self._name)
        self.panicking = panicking
        chosen = fit or self.endpoints
        self._balancer = balancer(self._config.balance, tuple(chosen)) if chosen else None

    def ejected(self, endpoint: Endpoint) -> bool:
        return endpoint in self._ejected

    def _fit(self, endpoint: Endpoint) -> bool:
        return endpoint.healthy and not self.ejected(endpoint)

    # Names.

    async def _resolve_on(self, first: asyncio.Task[None]) -> None:
        await first
        while True:
            known = all(group.by_address for group in self._groups)
            await asyncio.sleep(self._config.resolve_every if known else UNKNOWN_RETRY)
            await self._resolve()

    async def _resolve(self) -> None:
        """Look all names up; one without an answer keeps the addresses it had."""
        named = [group for group in self._groups if group.named]
        answers = await asyncio.gather(
            *(resolve.lookup(group.value.host, group.value.port) for group in named), return_exceptions=True
        )
        for group, answer in zip(named, answers, strict=True):
            if not isinstance(answer, BaseException) and answer:
                self._settle(group, answer)
            elif isinstance(answer, OSError | UnicodeError) or not answer:
                logger.warning("pool %s: %s has no address: %s", self._name, group.value.host, answer or "none given")
            elif isinstance(answer, BaseException):
                raise answer
        self.refresh()

    def _settle(self, group: _Group, addresses: Sequence[str]) -> None:
        """Bring a group to these addresses. An endpoint that stays keeps its connections and its record."""
        present = group.by_address
        group.by_address = {
            address: present.get(address)
            or Endpoint(group.value, address, group.weight, self._config, self._tls, self._report)
            for address in addresses
        }
        for endpoint in [gone for address, gone in present.items() if address not in group.by_address]:
            endpoint.retire()
            for background in (self._watches.pop(endpoint, None), self._ejected.pop(endpoint, None)):
                if background is not None:
                    background.cancel()
        self.endpoints = [endpoint for each in self._groups for endpoint in each.by_address.values()]
        checks = self._config.health
        if checks is not None and self._running:
            for endpoint in group.by_address.values():
                if endpoint not in self._watches:
                    self._watches[endpoint] = asyncio.create_task(health.watch(endpoint, checks, self._judged))

    def _judged(self, endpoint: Endpoint) -> None:
        level = logging.INFO if endpoint.healthy else logging.WARNING
        judgement = "passes" if endpoint.healthy else "fails"
        logger.log(level, "pool %s: %s %s its health checks", self._name, endpoint.address, judgement)
        self.refresh()

    def __repr__(self) -> str:
        return f"<Members {self.endpoints!r}{' panicking' if self.panicking else ''}>"


def _context(config: PoolConfig) -> ssl.SSLContext:
    """TLS towards the origins; certificates and names are checked unless the configuration says otherwise."""
    try:
        context = ssl.create_default_context(cafile=config.tls.ca)
    except OSError as error:
        raise ValueError(f"tls.ca: {config.tls.ca} cannot be used: {error.strerror or error}") from None
    context.set_alpn_protocols(["http/1.1"])
    if not config.tls.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
