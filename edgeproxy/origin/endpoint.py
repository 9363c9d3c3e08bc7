"""One address of a pool: the ways there, what it has in hand, and how it fares."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Final, Literal

from edgeproxy.balance.pace import Pace, Usual
from edgeproxy.config.pools import EndpointConfig, PoolConfig, TimeoutsConfig
from edgeproxy.config.units import EndpointValue
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.origin.connect import Dialer, authority
from edgeproxy.origin.http2_head import head
from edgeproxy.origin.http2_shared import Shared
from edgeproxy.origin.idle import Idle, Kept
from edgeproxy.origin.limit import Gradient
from edgeproxy.origin.outlier import Record
from edgeproxy.origin.way import Owner, Way
from edgeproxy.origin.wire import Call

State = Literal["in", "ejected", "unreachable", "trial"]  # see standing.Standing

_WEIGHT: Final = 0.3  # of one connection in what they take

Report = Callable[["Endpoint", EdgeError | None, int], None]


class Endpoint:
    """``address`` is its name in logs, metrics and the admin API; ``authority`` its Host when that is the endpoint's;
    ``scheme`` is that of its URL, ``http2`` tells what it speaks.

    ``report`` is told of every exchange that ended: the error or None, and the status (0: given up by the client).
    """

    def __init__(
        self,
        entry: EndpointConfig,
        value: EndpointValue,
        dialer: Dialer,
        config: PoolConfig,
        report: Report,
        usual: Usual | None = None,
    ) -> None:
        self.place(entry, entry.weight, entry.priority)
        self.dialer = dialer
        self.timeouts: TimeoutsConfig = config.timeouts
        self.address = dialer.name
        self.authority = _host_field(value)
        self.healthy = True  # says its health check
        self.state: State = "in"
        self.since = 0.0  # when a trial began
        self.old = 0  # requests in hand that are no trials: they are older
        self.draining = False
        self.gradient = Gradient(config.limits.max_requests) if config.limits.adaptive else None
        self.limit = config.limits.max_requests if self.gradient is None else self.gradient.limit
        self.probe_seconds = 0.0  # what its health checks take; 0 while none has passed
        self.connect_seconds = 0.0  # what connections take to stand; 0 before the first
        self.record = Record(config.outlier)
        self.key = self.address.encode()
        self.pace = Pace(usual)
        self.share = 1.0
        self.in_flight = 0
        self.awaited: set[Way] = set()  # by requests that can be made again, for the head of an answer
        self.requests = 0
        self.failures = 0
        self.connections = 0
        self.retired = False
        self.scheme = value.scheme.encode()
        self.http2 = config.protocol == "http2"
        keepalive = config.keepalive
        self._kept: Kept = (Shared if self.http2 else Idle)(keepalive.connections, keepalive.idle)
        self._report = report

    @property
    def usable(self) -> bool:
        """Whether it may get requests at all, as far as the operator is concerned."""
        return not self.draining and not self.retired

    @property
    def fit(self) -> bool:
        """Whether it is to get requests like any."""
        return self.healthy and self.state == "in" and not self.draining and not self.retired

    @property
    def free(self) -> bool:
        return self.in_flight < self.limit

    def place(self, entry: EndpointConfig, weight: int, priority: int) -> None:
        """Take its place in the pool, or another one: what ``entry`` says of it, and DNS of its weight and priority."""
        self.entry = entry
        self.weight = weight
        self.priority = priority
        self.region = entry.region or ""

    # Connections.

    def begin(self) -> None:
        """One request more in hand."""
        self.requests += 1
        self.in_flight += 1

    def head(self, call: Call, host: bytes) -> bytes:
        """The request's head as it is spoken here, where the endpoint is called ``host``. Raises EdgeError."""
        if self.http2:
            return head(call, host, self.scheme, asyncio.get_running_loop().time())
        return call.head(host)

    def take(self) -> Way | None:
        """A way that needs no new connection, if there is one."""
        return self._kept.take(self)

    async def open(self, until: float) -> Way:
        """A way over a new connection for a request in hand, before ``until`` (the loop's time). Raises EdgeError."""
        try:
            return await self._kept.open(self.connect, self, until)
        except EdgeError as error:
            self.over(error, 0)
            raise
        except asyncio.CancelledError:
            self.over(None, 0)
            raise

    def shelve(self, opening: asyncio.Future[Way]) -> None:
        """Keep what :meth:`open` gave: the request it was for has gone elsewhere."""
        if not opening.cancelled() and opening.exception() is None:
            self.keep(opening.result())
            self.over(None, 0)

    async def connect(self, owner: Owner, until: float) -> Way:
        """A new connection, TLS included, whose exchanges are ``owner``'s. Raises EdgeError."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        way = await self.dialer.open(owner, until)
        seconds, known = loop.time() - began, self.connect_seconds
        self.connect_seconds = known + _WEIGHT * (seconds - known) if known else seconds
        self.connections += 1
        return way

    def retire(self) -> None:
        """Out of service: it gets no more requests."""
        self.retired = True
        self.wind_down()

    def wind_down(self) -> None:
        """Keep no connections any more: idle ones close now, those in use with their exchange."""
        self._kept.close()

    @property
    def idle(self) -> int:
        """Connections that could take a request at once."""
        return len(self._kept)

    # What a way tells (way.Owner).

    def ended(self, way: Way, error: EdgeError | None, status: int) -> None:
        if error is None and not way.reused:
            self.dialer.learn(way)
        if way.reusable:
            self.keep(way)
        if error is not None and error.kind is Kind.CONNECTION_LOST and way.reused:
            error = None  # it closed an idle connection, as it may (RFC 9112 §9.3), and the request crossed that
        self.over(error, status)

    def lost(self, way: Way) -> None:
        self._kept.lost(way)

    def keep(self, way: Way) -> None:
        """Keep a way that nobody uses, if there is room."""
        self._kept.keep(way)

    def over(self, error: EdgeError | None, status: int) -> None:
        """One request fewer in hand."""
        self.in_flight -= 1
        self._report(self, error, status)

    def __repr__(self) -> str:
        health = "".join([f" {self.state}" * (self.state != "in"), " unhealthy" * (not self.healthy)])
        return f"<Endpoint {self.address}{health} {self.in_flight} in flight, {self.idle} idle>"


def _host_field(value: EndpointValue) -> bytes:
    """RFC 9110 §7.2: without the port that its scheme implies."""
    if value.path or value.service or value.port == {"http": 80, "https": 443}[value.scheme]:
        return (f"[{value.host}]" if ":" in value.host else value.host).encode()
    return authority(value.host, value.port).encode()
