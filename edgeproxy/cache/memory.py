"""L1: stored answers in this worker's memory, bounded by bytes, evicted by S3-FIFO.

S3-FIFO (Yang et al., "FIFO queues are all you need for cache eviction", SOSP 2023): newcomers wait in a small queue and
only those asked for again move to the main one, so a scan passes through without displacing what is in use. A hit
writes one small number and moves nothing, which is why it stands here instead of W-TinyLFU or LRU.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Final

from edgeproxy.cache import tags as cache_tags
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.purge import Purge
from edgeproxy.cache.vary import VARIANT_LIMIT, Selector, selector
from edgeproxy.http.headers import Headers
from edgeproxy.observe.analytics import evicted_ages
from edgeproxy.observe.metrics import Metrics

SMALL_SHARE: Final = 0.1
MOST_HITS: Final = 3
MOST_PASSED: Final = 64  # newcomers looked at for one that can go


class Resource:
    """What is stored under one key: its variants, told apart by the fields the newest answer's Vary named."""

    __slots__ = ("select", "sole", "variants", "vary")

    def __init__(self, vary: tuple[bytes, ...]) -> None:
        self.vary = vary
        self.select: Selector = selector(vary)
        self.variants: dict[bytes, Entry] = {}
        self.sole: Entry | None = None  # the only variant there can be, where nothing selects

    def selected(self, headers: Headers) -> Entry | None:
        """The variant a request with these fields selects."""
        return self.variants.get(self.select(headers)) if self.sole is None else self.sole


class Memory:
    """Entries by key and variant, at most ``limit`` bytes of them. ``wall`` tells the time that ages are counted by."""

    def __init__(self, limit: int, metrics: Metrics, wall: Callable[[], float] = time.time) -> None:
        self.limit = limit
        self._wall = wall
        self.size = 0
        self.resources: dict[bytes, Resource] = {}
        self._small: OrderedDict[Entry, None] = OrderedDict()
        self._small_size = 0
        self._main: OrderedDict[Entry, None] = OrderedDict()
        self._ghosts: OrderedDict[int, None] = OrderedDict()
        self._tagged: dict[bytes, set[Entry]] = {}
        self._indexed: dict[Entry, tuple[bytes, ...]] = {}  # the tags an entry stands under in that index
        self._further: dict[bytes, set[bytes]] = {}  # by URL, the keys that are more than that URL
        self.dropped: Callable[[Entry], None] | None = None  # is told of what goes
        self._evicted = metrics.counter("edgeproxy_cache_evictions_total", "Entries evicted, by tier.", ("tier",))
        self._ages = evicted_ages(metrics)
        metrics.gauge("edgeproxy_cache_bytes", "Bytes in use, by tier.", ("tier",), lambda: [(("l1",), self.size)])
        metrics.gauge("edgeproxy_cache_entries", "Stored answers, by tier.", ("tier",), lambda: [(("l1",), len(self))])

    def __len__(self) -> int:
        return len(self._small) + len(self._main)

    def get(self, key: bytes, headers: Headers) -> Entry | None:
        """The variant a request with these fields selects."""
        resource = self.resources.get(key)
        return None if resource is None else resource.selected(headers)

    def put(self, entry: Entry) -> bool:
        """Store an entry in place of what it replaces; False if it is larger than the whole tier may be."""
        if entry.size > self.limit:
            return False
        resource = self.resources.get(entry.key)
        if resource is None or resource.vary != entry.vary:
            self.purge(entry.key)
            resource = self._open(entry.key, entry.vary)
        present = resource.variants.get(entry.variant)
        if present is not None:
            self.drop(present)
            resource = self.resources.get(entry.key) or self._open(entry.key, entry.vary)
        elif len(resource.variants) >= VARIANT_LIMIT:
            self.drop(next(iter(resource.variants.values())))
        resource.variants[entry.variant] = entry
        resource.sole = None if entry.vary else entry
        self.size += entry.size
        self._index(entry)
        ghost = hash((entry.key, entry.variant))
        if ghost in self._ghosts:
            del self._ghosts[ghost]
            entry.main = True
            self._main[entry] = None
        else:
            self._small[entry] = None
            self._small_size += entry.size
        self._make_room()
        return True

    def grow(self, entry: Entry, size: int) -> None:
        """Count bytes that came to an entry, or went, and find it under the tags it has now; nothing if it has been
        dropped meanwhile."""
        if not self.holds(entry):
            return
        if entry.tags is not self._indexed.get(entry, cache_tags.NONE):
            self._unindex(entry)
            self._index(entry)
        entry.size += size
        self.size += size
        if not entry.main:
            self._small_size += size
        self._make_room()

    def holds(self, entry: Entry) -> bool:
        resource = self.resources.get(entry.key)
        return resource is not None and resource.variants.get(entry.variant) is entry

    def drop(self, entry: Entry) -> None:
        """Forget an entry, if it is still there."""
        resource = self.resources.get(entry.key)
        if resource is None or resource.variants.get(entry.variant) is not entry:
            return
        del resource.variants[entry.variant]
        if not resource.variants:
            self._close(entry.key)
        self.size -= entry.size
        self._unindex(entry)
        if entry.main:
            del self._main[entry]
        else:
            del self._small[entry]
            self._small_size -= entry.size
        if self.dropped is not None:
            self.dropped(entry)

    def purge(self, key: bytes) -> int:
        """Forget all variants of a key; returns how many there were."""
        resource = self.resources.get(key)
        entries = [] if resource is None else list(resource.variants.values())
        for entry in entries:
            self.drop(entry)
        return len(entries)

    def keys_of(self, url: bytes) -> list[bytes]:
        """The keys of what is stored for a URL, in whatever partition."""
        own = [url] if url in self.resources else []
        return [*own, *self._further.get(url, ())]

    def matching(self, purge: Purge) -> list[Entry]:
        """The entries a purge is about."""
        if purge.kind == "tag":
            return list(self._tagged.get(purge.value, ()))
        if purge.kind == "url":
            keys = self.keys_of(purge.value)
        else:
            beginnings = purge.beginnings()
            keys = [key for key in self.resources if key.startswith(beginnings)]
        return [entry for key in keys for entry in self.resources[key].variants.values()]

    def _open(self, key: bytes, vary: tuple[bytes, ...]) -> Resource:
        resource = self.resources[key] = Resource(vary)
        url, more, _ = key.partition(b"#")
        if more:
            self._further.setdefault(url, set()).add(key)
        return resource

    def _close(self, key: bytes) -> None:
        del self.resources[key]
        url, more, _ = key.partition(b"#")
        if more:
            keys = self._further[url]
            keys.discard(key)
            if not keys:
                del self._further[url]

    def _index(self, entry: Entry) -> None:
        if entry.tags:
            self._indexed[entry] = entry.tags
            for tag in entry.tags:
                self._tagged.setdefault(tag, set()).add(entry)

    def _unindex(self, entry: Entry) -> None:
        for tag in self._indexed.pop(entry, cache_tags.NONE):
            entries = self._tagged[tag]
            entries.discard(entry)
            if not entries:
                del self._tagged[tag]

    def _make_room(self) -> None:
        while self.size > self.limit:
            newcomers = self._small and (self._small_size > self.limit * SMALL_SHARE or not self._main)
            if newcomers and (self._pass_over() or not self._main):
                self._evict_small()
            else:
                self._evict_main()

    def _pass_over(self) -> bool:
        """Put newcomers whose bodies are still arriving behind the others: to evict them would free nothing. Whether
        one that is whole is first now."""
        for _ in range(min(len(self._small), MOST_PASSED)):
            entry = next(iter(self._small))
            if entry.fill is None:
                return True
            self._small.move_to_end(entry)
        return False

    def _evict_small(self) -> None:
        entry = next(iter(self._small))
        if entry.hits > 1:
            del self._small[entry]
            self._small_size -= entry.size
            entry.hits = 0
            entry.main = True
            self._main[entry] = None
            return
        self._evict(entry)
        self._ghosts[hash((entry.key, entry.variant))] = None
        while len(self._ghosts) > max(1024, len(self)):
            self._ghosts.popitem(last=False)

    def _evict_main(self) -> None:
        entry = next(iter(self._main))
        if entry.hits > 0:
            entry.hits = min(entry.hits, MOST_HITS) - 1
            self._main.move_to_end(entry)
            return
        self._evict(entry)

    def _evict(self, entry: Entry) -> None:
        self.drop(entry)
        self._evicted.inc("l1")
        self._ages.observe(entry.age(self._wall()), "l1")

    def __repr__(self) -> str:
        return f"<Memory {len(self)} entries, {self.size} of {self.limit} B>"
