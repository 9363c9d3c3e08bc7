"""L2: stored answers on the node's disk, shared by its workers, kept over restarts.

Reading is a copy out of the page cache and happens where it is asked for; writing, purging and opening happen on a
thread (:mod:`edgeproxy.cache.disk_writer`). Where the disk fails, everything is a miss.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from pathlib import Path

import lmdb

from edgeproxy.cache import record as cache_record
from edgeproxy.cache.disk_body import READERS, DiskBody
from edgeproxy.cache.disk_order import Order
from edgeproxy.cache.disk_shadow import Shadow
from edgeproxy.cache.disk_store import DamagedError
from edgeproxy.cache.disk_writer import Writer
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.purge import Purge
from edgeproxy.cache.source import Source
from edgeproxy.http.headers import Headers
from edgeproxy.observe.analytics import evicted_ages
from edgeproxy.observe.metrics import Metrics

OPENED_WITHIN = 2.0  # seconds a worker's start waits for it; what takes longer goes on behind
ROUNDED = 0.001  # seconds by which two copies of one answer may differ in when it was made


class Disk:
    """The tier in ``folder``: at most ``size`` bytes, bodies of at most ``inline`` bytes read at once."""

    def __init__(self, folder: Path, size: int, inline: int, metrics: Metrics) -> None:
        self.folder = folder
        self.inline = inline
        hits = metrics.counter("edgeproxy_cache_tier_hits_total", "Answers found, by tier.", ("tier",))
        self._hits = hits.cell("l2")
        self._errors = metrics.counter("edgeproxy_cache_errors_total", "Answers found damaged, by tier.", ("tier",))
        dropped = metrics.counter(
            "edgeproxy_cache_dropped_total", "Answers not written, by tier and reason.", ("tier", "reason")
        )
        self._evictions = metrics.counter("edgeproxy_cache_evictions_total", "Entries evicted, by tier.", ("tier",))
        self._ages = evicted_ages(metrics)
        self._writer = Writer(folder, size, lambda reason: dropped.inc("l2", reason), self._evicted)
        self._shadow = Shadow()
        self._pool = ThreadPoolExecutor(READERS, "disk-read")
        self._gauges = self._show(metrics)

    def start(self) -> None:
        """Open what is there."""
        self._writer.start()

    def ready(self) -> bool:
        """Wait until it is open, for a short while."""
        return self._writer.ready(OPENED_WITHIN)

    def get(self, key: bytes, headers: Headers) -> Entry | None:
        """The variant a request with these fields selects; without its body if that is longer than ``inline``: then
        it has a source."""
        store = self._writer.store
        if store is None:
            return None
        try:
            found = store.find(key, headers, self.inline)
        except DamagedError as damage:
            self._errors.inc("l2")
            self._writer.damaged(damage)
            return None
        except lmdb.Error as error:
            self._errors.inc("l2")
            self._writer.failed(error)
            return None
        if found is None:
            return None
        record = found.record
        if len(self._shadow):
            self._shadow.settle(time.monotonic())
            if self._shadow.hides(record.key, record.tags, record.began):
                return None
        if not found.marked:
            self._writer.mark(found.head)
        self._hits[0] += 1
        entry = found.known.entry(found.body)
        if found.body is None:
            entry.source = Source(record.length, record.chunk, record.digests, partial(self._open, found.head, record))
        return entry

    def smaller(self, entry: Entry) -> Entry | None:
        """A copy with a smaller body, of the same answer or of a newer one, that another worker has written."""
        store, body = self._writer.store, entry.body
        if store is None or body is None:
            return None
        try:
            found = store.variant(entry.key, entry.variant, len(body) - 1)
        except (DamagedError, lmdb.Error):
            return None  # whoever asks for it will see to it
        if found is None or found.body is None:
            return None
        record = found.record
        if record.vary != entry.vary or record.status != entry.status or record.base < entry.base - ROUNDED:
            return None
        if self._shadow.hides(record.key, record.tags, record.began):
            return None
        return found.known.entry(found.body)

    def put(self, entry: Entry, began: float) -> None:
        """Have a whole entry written that was asked for at this wall time; or again, with the fields it has now."""
        body, source = entry.body, entry.source
        if body is not None:
            self._writer.put(Order(cache_record.of_entry(entry, began, len(body), 0, ()), body))
        elif source is not None:
            kept = cache_record.of_entry(entry, began, source.length, source.chunk, source.digests)
            self._writer.put(Order(kept, None))

    def purge(self, purge: Purge) -> Future[int]:
        """Forget what a purge matches, or mark it stale; the future holds how many answers that were. What it is about
        is no longer found from now on."""
        self._shadow.add(purge)
        done = self._writer.purge(purge)
        done.add_done_callback(lambda _: self._shadow.end(purge, time.monotonic()))
        return done

    def resize(self, size: int, inline: int) -> None:
        """Have other limits, in bytes."""
        self.inline = inline
        self._writer.resize(size)

    def close(self) -> None:
        """Write what is waiting, and let go. Blocks for a moment."""
        for remove in self._gauges:
            remove()
        self._writer.close()
        self._pool.shutdown(wait=False)

    def _open(self, head: bytes, record: cache_record.Record, first: int, last: int) -> DiskBody:
        return DiskBody(lambda: self._writer.store, self._pool, head, record, first, last)

    def _evicted(self, number: int, bases: Sequence[float]) -> None:
        self._evictions.inc("l2", by=number)
        now = time.time()
        for base in bases:
            self._ages.observe(max(0.0, now - base), "l2")

    def _show(self, metrics: Metrics) -> list[Callable[[], None]]:
        """All workers have the same environment, so their numbers are not added up."""
        writer = self._writer
        return [
            metrics.gauge(
                "edgeproxy_cache_disk_bytes", "Bytes in use on disk.", (), lambda: [((), writer.books[0])], merge="max"
            ),
            metrics.gauge(
                "edgeproxy_cache_disk_entries",
                "Stored answers on disk.",
                (),
                lambda: [((), writer.books[1])],
                merge="max",
            ),
            metrics.gauge(
                "edgeproxy_cache_disk_up",
                "1 if the disk is read and written, 0 if not.",
                (),
                lambda: [((), float(writer.store is not None and not writer.trouble))],
                merge="min",
            ),
            metrics.gauge(
                "edgeproxy_cache_queue_bytes",
                "Bytes waiting to be written, by tier.",
                ("tier",),
                lambda: [(("l2",), writer.waiting)],
            ),
        ]

    def __repr__(self) -> str:
        used, heads = self._writer.books
        return f"<Disk {self.folder} {heads} answers, {used} B {self._writer.trouble or 'fine'}>"
