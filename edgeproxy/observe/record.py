"""Exchanges that ended, and once in a while a batch of them into metrics and the access log.

The log phase runs between a hit's answer and the next request, so all it does is to append; everything else is done
for a batch at a time in tight loops. Batches are small, for an exchange keeps its whole head: while it waits, the next
ones have to be made in memory that is not in the processor's caches. The sums of several batches go into the metrics
together.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Final

from edgeproxy.clock import Clock
from edgeproxy.http.message import NO_FIELDS, shared_type
from edgeproxy.observe.analytics import Analytics, cache_label, tier_of, type_of
from edgeproxy.observe.metrics import OTHER, Metrics
from edgeproxy.observe.top import Top

if TYPE_CHECKING:
    from edgeproxy.pipeline.exchange import Exchange

Write = Callable[[Sequence["Exchange"], float], None]
_Key = tuple[str, bytes, int, bytes, bytes, bytes]

BATCH: Final = 32
INTERVAL: Final = 0.5
SERIES_MOST: Final = 256  # sums open at once
BUSY: Final = 256  # exchanges within an interval, from which on the URLs asked for most are counted by samples

_METHODS: Final = {m.encode(): m for m in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_PROTOCOLS: Final = {version: f"http/{version.decode()}" for version in (b"1.0", b"1.1", b"2", b"3")}
_STATUSES: Final = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")


class Observer:
    """The engine's log hook, and the batch job behind it.

    ``write`` takes a batch and wall time less monotonic time; None: no access log.
    """

    def __init__(self, metrics: Metrics, clock: Clock, write: Write | None = None) -> None:
        self._records: list[Exchange] = []
        self._clock = clock
        self._monotonic = clock.monotonic
        self._timer: asyncio.TimerHandle | None = None
        self._series: dict[_Key, _Series] = {}
        self._lately = 0  # exchanges of this interval
        self.write = write
        self.top = Top(clock.monotonic)
        self._analytics = Analytics(metrics)
        self._requests = metrics.counter(
            "edgeproxy_requests_total", "Exchanges that ended.", ("route", "method", "status", "cache"), limit=5000
        )
        self._protocols = metrics.counter(
            "edgeproxy_requests_by_protocol_total", "Exchanges that ended, by what their clients speak.", ("protocol",)
        )
        self._durations = metrics.histogram(
            "edgeproxy_request_duration_seconds",
            "From the request's head to the answer's last byte.",
            ("route", "cache"),
            limit=1000,
        )
        self._bytes = metrics.counter("edgeproxy_response_body_bytes_total", "Body bytes sent to clients.", ("route",))
        self._errors = metrics.counter("edgeproxy_errors_total", "Exchanges that ended with an error.", ("kind",))

    def log(self, x: Exchange) -> None:
        """The log hook. It keeps the exchange until the batch is full, but not its answer."""
        if not x.ended:  # nothing was answered
            x.ended = self._monotonic()
        response = x.response
        if response is not None:
            shared = response.shared
            if shared is NO_FIELDS:
                x.content_type = shared_type(response.own.get(b"content-type", b""))
            else:
                x.content_type = shared.content_type
        x.response = x.lookup = None
        records = self._records
        records.append(x)
        if len(records) >= BATCH:
            self._work_off()

    def start(self) -> None:
        """Flush every ``INTERVAL`` seconds from now on; needs a running loop."""
        if self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._tick)

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self.flush()

    def flush(self) -> None:
        """Count and write what has been recorded so far."""
        self._work_off()
        for series in self._series.values():
            self._requests.inc(series.route, series.method, series.status, series.cache, by=series.number)
            self._protocols.inc(series.protocol, by=series.number)
            self._bytes.inc(series.route, by=series.size)
            self._analytics.count(series.route, series.tier, series.media, series.number, series.size)
        self._series = {}

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._tick)
        self._lately = 0
        if self._records or self._series:
            self.flush()
        elif self.write is not None:
            self.write((), 0.0)  # lines may be waiting for another try

    def _work_off(self) -> None:
        """Add up and write the exchanges that wait."""
        records = self._records
        if not records:
            return
        self._records = []
        self._add_up(records)
        self._lately += len(records)
        self.top.count(records, busy=self._lately >= BUSY)
        if self.write is not None:
            self.write(records, self._clock.wall() - self._clock.monotonic())
        if len(self._series) >= SERIES_MOST:
            self.flush()

    def _add_up(self, records: Sequence[Exchange]) -> None:
        buckets = self._durations.buckets
        last, series = records[0], self._sums(records[0])
        for x in records:
            if not (
                x.verdict is last.verdict
                and x.content_type is last.content_type
                and x.status == last.status
                and x.request.method is last.request.method
                and x.request.version is last.request.version
                and x.route is last.route
            ):
                last, series = x, self._sums(x)
            series.number += 1
            series.size += x.sent
            duration = x.ended - x.started
            cells = series.cells
            cells[0 if duration <= series.first else bisect_left(buckets, duration)] += 1
            cells[-1] += duration
            if x.error:
                self._errors.inc(x.error)

    def _sums(self, x: Exchange) -> _Series:
        request = x.request
        key = (x.route.name, request.method, x.status, x.verdict, x.content_type, request.version)
        series = self._series.get(key)
        if series is None:
            series = self._series[key] = self._open(x, x.content_type)
        return series

    def _open(self, x: Exchange, content_type: bytes) -> _Series:
        """What this exchange and those like it add up in."""
        method, status = _METHODS.get(x.request.method, OTHER), _STATUSES[x.status // 100 % 6]
        protocol = _PROTOCOLS.get(x.request.version, OTHER)
        cache, tier, media = cache_label(x.verdict), tier_of(x.verdict), type_of(content_type)
        cells = self._durations.cells((x.route.name, cache))
        return _Series(x.route.name, method, status, cache, protocol, tier, media, cells, self._durations.buckets[0])

    def __repr__(self) -> str:
        return f"<Observer {len(self._records)} records waiting>"


class _Series:
    """Exchanges that all metrics count alike; ``cells`` are the live numbers of their durations."""

    __slots__ = ("cache", "cells", "first", "media", "method", "number", "protocol", "route", "size", "status", "tier")

    def __init__(
        self,
        route: str,
        method: str,
        status: str,
        cache: str,
        protocol: str,
        tier: str,
        media: str,
        cells: list[float],
        first: float,
    ) -> None:
        self.route = route
        self.method = method
        self.status = status
        self.cache = cache
        self.protocol = protocol
        self.tier = tier
        self.media = media
        self.cells = cells
        self.first = first
        self.number = 0
        self.size = 0
