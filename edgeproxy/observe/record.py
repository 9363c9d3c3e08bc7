"""One tuple an exchange, and once in a while a batch of them into metrics and the access log.

The log phase runs between a hit's answer and the next request, so all it does is to append; everything else is done
for a batch at a time in tight loops.
"""

from __future__ import annotations

import asyncio
from bisect import bisect_left
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING

from edgeproxy.clock import Clock
from edgeproxy.http.message import Request
from edgeproxy.observe.metrics import OTHER, Metrics

if TYPE_CHECKING:
    from edgeproxy.pipeline.exchange import Exchange

# request, client, id, status (0: none was sent), body bytes sent, verdict, route, endpoint, error, started, ended, tags
Record = tuple[Request, str, bytes, int, int, bytes, str, str, str, float, float, tuple[str, ...]]

BATCH = 256
INTERVAL = 0.5

_METHODS = {m.encode(): m for m in ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")}
_STATUSES = ("none", "1xx", "2xx", "3xx", "4xx", "5xx")

# RFC 9211 §2.2, and "unknown" for what no stage looked up.
_FORWARDS = frozenset(("bypass", "method", "uri-miss", "vary-miss", "miss", "request", "stale", "partial"))


@lru_cache(512)
def cache_label(verdict: bytes) -> str:
    """One word for Cache-Status parameters: ``hit``, the reason of ``fwd``, or ``none``."""
    if not verdict:
        return "none"
    for parameter in verdict.split(b";"):
        name, _, value = parameter.strip().partition(b"=")
        if name == b"hit":
            return "hit"
        if name == b"fwd":
            word = value.decode("latin-1")
            return word if word in _FORWARDS else OTHER
    return OTHER


class Observer:
    """The engine's log hook, and the batch job behind it.

    ``write`` takes a batch and wall time less monotonic time; None: no access log.
    """

    def __init__(
        self, metrics: Metrics, clock: Clock, write: Callable[[Sequence[Record], float], None] | None = None
    ) -> None:
        self._records: list[Record] = []
        self._clock = clock
        self._monotonic = clock.monotonic
        self._timer: asyncio.TimerHandle | None = None
        self.write = write
        self._requests = metrics.counter(
            "edgeproxy_requests_total", "Exchanges that ended.", ("route", "method", "status", "cache"), limit=5000
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
        """The log hook."""
        x.ended = ended = self._monotonic()
        records = self._records
        response = x.response
        records.append(
            (
                x.request,
                x.client,
                x.id,
                0 if response is None else response.status,
                x.sent,
                x.verdict,
                x.route.name,
                x.endpoint,
                x.error,
                x.started,
                ended,
                x.tags,
            )
        )
        if len(records) >= BATCH:
            self.flush()

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
        records = self._records
        if not records:
            return
        self._records = []
        self._count(records)
        if self.write is not None:
            self.write(records, self._clock.wall() - self._clock.monotonic())

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(INTERVAL, self._tick)
        if self._records:
            self.flush()
        elif self.write is not None:
            self.write((), 0.0)  # lines may be waiting for another try

    def _count(self, records: Sequence[Record]) -> None:
        counts: dict[tuple[str, bytes, int, bytes], list[int]] = {}
        cells_of: dict[tuple[str, str], list[float]] = {}
        durations = self._durations
        buckets = durations.buckets
        for request, _client, _id, status, sent, verdict, route, _endpoint, error, started, ended, _tags in records:
            key = (route, request.method, status, verdict)
            count = counts.get(key)
            if count is None:
                count = counts[key] = [0, 0]
            count[0] += 1
            count[1] += sent
            series = (route, cache_label(verdict))
            cells = cells_of.get(series)
            if cells is None:
                cells = cells_of[series] = durations.cells(series)
            duration = ended - started
            cells[bisect_left(buckets, duration)] += 1
            cells[-1] += duration
            if error:
                self._errors.inc(error)
        for (route, method, status, verdict), (number, size) in counts.items():
            self._requests.inc(
                route, _METHODS.get(method, OTHER), _STATUSES[status // 100 % 6], cache_label(verdict), by=number
            )
            self._bytes.inc(route, by=size)

    def __repr__(self) -> str:
        return f"<Observer {len(self._records)} records waiting>"
