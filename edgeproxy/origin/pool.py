"""An origin pool: takes an exchange to one of its endpoints, tries again where that is safe, fails over where not here.

What may be repeated follows RFC 9110 §9.2.2 and RFC 9112 §9.3.1; how often, the retry budget.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import Any

from edgeproxy.clock import Clock
from edgeproxy.config.schema import PoolConfig
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.loops import PSEUDONYM
from edgeproxy.http.message import Request, Response
from edgeproxy.observe.metrics import Metrics
from edgeproxy.origin.client import Connection
from edgeproxy.origin.endpoint import Endpoint
from edgeproxy.origin.members import Members
from edgeproxy.origin.outlier import FAILING_STATUSES
from edgeproxy.origin.retry import Budget, may_repeat
from edgeproxy.origin.wire import Call, hops_left
from edgeproxy.pipeline.exchange import Exchange

_CLASSES = ("given_up", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "7xx", "8xx", "9xx")


class Pool:
    """Endpoints that serve the same content; ``fallback`` is asked when none of them can answer. ``node`` is what this
    node is called in requests."""

    def __init__(self, name: str, config: PoolConfig, clock: Clock, metrics: Metrics, node: bytes = PSEUDONYM) -> None:
        """Raises ValueError if the configuration names a file that cannot be used."""
        self.name = name
        self.config = config
        self.fallback: Pool | None = None
        self._node = node
        self._clock = clock
        self._members = Members(name, config, clock, self._ended)
        self._budget = Budget(config.retry.budget)
        self._tries = config.retry.tries
        self._total = config.timeouts.total
        self._literal = b"" if config.host in {"preserve", "endpoint"} else config.host.encode()
        self._preserve = config.host == "preserve"
        labels = ("pool", "endpoint")
        self._results = metrics.counter(
            "edgeproxy_origin_requests_total", "Requests to origins, by class of status or error.", (*labels, "result")
        )
        self._retries = metrics.counter("edgeproxy_origin_retries_total", "Requests tried once more.", ("pool",))
        self._failovers = metrics.counter(
            "edgeproxy_origin_failovers_total", "Requests handed to the fallback pool.", ("pool",)
        )
        self._gauges = (
            metrics.gauge("edgeproxy_origin_in_flight", "Requests in hand.", labels, self._read_in_flight),
            metrics.gauge("edgeproxy_origin_idle_connections", "Connections kept open.", labels, self._read_idle),
            metrics.gauge("edgeproxy_origin_up", "1 if healthy and not ejected.", labels, self._read_up, merge="min"),
        )

    async def start(self) -> None:
        """Look names up, begin health checks."""
        await self._members.start()

    async def stop(self) -> None:
        """End background work and close idle connections; exchanges under way go on."""
        for end in self._gauges:
            end()
        await self._members.stop()

    async def fetch(self, x: Exchange) -> Response:
        """The origin's answer. Sets ``x.endpoint`` and ``x.tries``. Raises EdgeError.

        A body that streams keeps its place at the endpoint until it has ended or is closed.
        """
        if x.request.method == b"OPTIONS" and hops_left(x.request.headers) == 0:
            return Response(204)  # RFC 9110 §7.6.2: not sent on, answered here
        until = asyncio.get_running_loop().time() + self._total
        return await self.ask(x, Call(x.request, until, x.interim, self._node))

    async def ask(self, x: Exchange, call: Call) -> Response:
        """``fetch`` for a call that other pools may have been asked already."""
        members = self._members
        call.asked += (self.name,)
        self._budget.request(self._clock.monotonic())
        if members.panicking and self._can_fall_back(call, fit=True):
            return await self._fall_back(x, call)
        tried: tuple[Endpoint, ...] = ()
        again: Endpoint | None = None  # whose kept-alive connection turned out to be closed
        while True:
            endpoint = again or members.pick(tried)
            if endpoint is None:
                if self._can_fall_back(call):
                    return await self._fall_back(x, call)
                raise members.missing()
            head = call.head(self._host(x.request, endpoint))
            x.tries += 1
            x.endpoint = endpoint.address
            endpoint.requests += 1
            endpoint.in_flight += 1
            connection = endpoint.take() if again is None else None
            sent = False
            try:
                if connection is None:
                    connection = await endpoint.open(call.until)
                sent = True
                answer = connection.send(call, head)
                try:
                    return await answer
                except asyncio.CancelledError:
                    connection.give_up(answer)
                    raise
            except EdgeError as error:
                stale = again is None and sent and call.repeatable and _stale(connection, error)
                again = None
                if stale and self._budget.spend(self._clock.monotonic()):
                    self._retries.inc(self.name)
                    again = endpoint
                    continue
                tried += (endpoint,)
                if not may_repeat(error, sent=sent, repeatable=call.repeatable) or self._too_late(call):
                    raise
                if len(tried) < self._tries and self._budget.spend(self._clock.monotonic()):
                    self._retries.inc(self.name)
                elif self._can_fall_back(call):
                    return await self._fall_back(x, call)
                else:
                    raise

    def _host(self, request: Request, endpoint: Endpoint) -> bytes:
        if self._preserve:
            return request.authority or endpoint.authority
        return self._literal or endpoint.authority

    def _can_fall_back(self, call: Call, *, fit: bool = False) -> bool:
        """Whether there is a pool not yet asked; ``fit`` asks for one that is better off than this."""
        fallback = self.fallback
        return fallback is not None and fallback.name not in call.asked and not (fit and fallback.panicking)

    async def _fall_back(self, x: Exchange, call: Call) -> Response:
        self._failovers.inc(self.name)
        fallback = self.fallback
        if fallback is None:
            raise EdgeError(Kind.NO_ENDPOINT, "edge")
        return await fallback.ask(x, call)

    def _too_late(self, call: Call) -> bool:
        return asyncio.get_running_loop().time() >= call.until

    def _ended(self, endpoint: Endpoint, error: EdgeError | None, status: int) -> None:
        """What became of a request."""
        self._results.inc(self.name, endpoint.address, _CLASSES[status // 100] if error is None else error.kind.value)
        if error is None and status not in FAILING_STATUSES:
            if status and endpoint.record.failures:
                endpoint.record.success()
        elif error is None or error.source == "origin":
            endpoint.failures += 1
            self._members.failed(endpoint)

    # What others look at.

    @property
    def panicking(self) -> bool:
        """None of its endpoints is fit."""
        return self._members.panicking

    def state(self) -> list[dict[str, Any]]:
        """One entry an endpoint, for the admin API."""
        return [
            {
                "address": endpoint.address,
                "weight": endpoint.weight,
                "healthy": endpoint.healthy,
                "ejected": self._members.ejected(endpoint),
                "in_flight": endpoint.in_flight,
                "idle": endpoint.idle,
                "requests": endpoint.requests,
                "failures": endpoint.failures,
            }
            for endpoint in self._members.endpoints
        ]

    def _read_in_flight(self) -> Iterator[tuple[tuple[str, ...], float]]:
        return (((self.name, each.address), each.in_flight) for each in self._members.endpoints)

    def _read_idle(self) -> Iterator[tuple[tuple[str, ...], float]]:
        return (((self.name, each.address), each.idle) for each in self._members.endpoints)

    def _read_up(self) -> Iterator[tuple[tuple[str, ...], float]]:
        members = self._members
        return (
            ((self.name, each.address), float(each.healthy and not members.ejected(each))) for each in members.endpoints
        )

    def __repr__(self) -> str:
        return f"<Pool {self.name} {self._members!r}>"


def _stale(connection: Connection | None, error: EdgeError) -> bool:
    """A kept-alive connection that the origin closed as the request went out (RFC 9112 §9.3.1)."""
    return (
        connection is not None and connection.reused and not connection.answered and error.kind is Kind.CONNECTION_LOST
    )
