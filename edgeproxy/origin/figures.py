"""What is told of a pool: its metrics, and what the admin API shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

from edgeproxy.errors import EdgeError
from edgeproxy.observe.metrics import Metrics
from edgeproxy.origin.endpoint import Endpoint
from edgeproxy.origin.members import Members

_CLASSES: Final = ("given_up", "1xx", "2xx", "3xx", "4xx", "5xx", "6xx", "7xx", "8xx", "9xx")

_Readings = Iterator[tuple[tuple[str, ...], float]]


class Figures:
    """``retries``: requests sent once more; ``reconnects``: those that had to look for a connection elsewhere;
    ``failovers``: those handed to the fallback pool. ``waiting`` gives how many wait for a place."""

    def __init__(self, name: str, metrics: Metrics, members: Members, waiting: Callable[[], int]) -> None:
        self._name = name
        self._members = members
        self._waiting = waiting
        labels = ("pool", "endpoint")
        self._results = metrics.counter(
            "edgeproxy_origin_requests_total", "Requests to origins, by class of status or error.", (*labels, "result")
        )
        self.retries = metrics.counter("edgeproxy_origin_retries_total", "Requests sent once more.", ("pool",))
        self.reconnects = metrics.counter(
            "edgeproxy_origin_reconnects_total", "Requests never sent, taken to another endpoint.", ("pool",)
        )
        self.failovers = metrics.counter(
            "edgeproxy_origin_failovers_total", "Requests handed to the fallback pool.", ("pool",)
        )
        self._shed = metrics.counter(
            "edgeproxy_origin_shed_total", "Requests that got no place at an endpoint, by why.", ("pool", "why")
        )
        self._gauges = (
            metrics.gauge("edgeproxy_origin_in_flight", "Requests in hand.", labels, self._read_in_flight),
            metrics.gauge("edgeproxy_origin_idle_connections", "Connections kept open.", labels, self._read_idle),
            metrics.gauge("edgeproxy_origin_up", "1 if fit for requests.", labels, self._read_up, merge="min"),
            metrics.gauge("edgeproxy_origin_limit", "Requests it may have in hand.", labels, self._read_limit),
            metrics.gauge("edgeproxy_origin_waiting", "Requests in line for a place.", ("pool",), self._read_waiting),
            metrics.gauge(
                "edgeproxy_origin_region_fit",
                "Share of a region's weight that is fit for requests.",
                ("pool", "region"),
                self._read_region_fit,
                merge="min",
            ),
            metrics.gauge(
                "edgeproxy_origin_region_seconds",
                "What a region takes, as it was last compared.",
                ("pool", "region"),
                self._read_region_seconds,
                merge="max",
            ),
        )

    def end(self) -> None:
        for end in self._gauges:
            end()

    def ended(self, endpoint: Endpoint, error: EdgeError | None, status: int) -> None:
        """What became of a request."""
        self._results.inc(self._name, endpoint.address, _CLASSES[status // 100] if error is None else error.kind.value)

    def shed(self, why: str) -> None:
        """A request got no place."""
        self._shed.inc(self._name, why)

    def state(self) -> list[dict[str, Any]]:
        """One entry an endpoint, for the admin API."""
        return [
            {
                "address": endpoint.address,
                "weight": endpoint.weight,
                "priority": endpoint.priority,
                "region": endpoint.region,
                "healthy": endpoint.healthy,
                "ejected": endpoint.state not in {"in", "trial"},
                "state": endpoint.state,
                "draining": endpoint.draining,
                "share": round(endpoint.share, 3),
                "limit": endpoint.limit,
                "in_flight": endpoint.in_flight,
                "idle": endpoint.idle,
                "requests": endpoint.requests,
                "failures": endpoint.failures,
            }
            for endpoint in self._members.endpoints
        ]

    def _read_in_flight(self) -> _Readings:
        return (((self._name, each.address), each.in_flight) for each in self._members.endpoints)

    def _read_idle(self) -> _Readings:
        return (((self._name, each.address), each.idle) for each in self._members.endpoints)

    def _read_up(self) -> _Readings:
        return (((self._name, each.address), float(each.fit)) for each in self._members.endpoints)

    def _read_limit(self) -> _Readings:
        return (((self._name, each.address), each.limit) for each in self._members.endpoints)

    def _read_waiting(self) -> _Readings:
        yield (self._name,), self._waiting()

    def _read_region_fit(self) -> _Readings:
        weights: dict[str, list[int]] = {}
        for each in self._members.endpoints:
            if each.region:
                weight = weights.setdefault(each.region, [0, 0])
                weight[0] += each.weight
                weight[1] += each.weight if each.fit else 0
        return (((self._name, region), fit / weight) for region, (weight, fit) in weights.items())

    def _read_region_seconds(self) -> _Readings:
        return (((self._name, region), seconds) for region, seconds in self._members.region_seconds.items())

    def __repr__(self) -> str:
        return f"<Figures of {self._name}>"
