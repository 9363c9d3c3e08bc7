"""As much of a log as there is memory for: drawn by whole visits, so that what follows what in them stays."""

from __future__ import annotations

import heapq
from hashlib import blake2b
from typing import Final

from edgeproxy.features.log import Record

HOUR: Final = 3600  # seconds: a visit is what one client asks for in one of these
LONGEST: Final = 1_000  # records of a visit that are kept: nobody alone makes a log

_Visit = tuple[str, int]


class Draw:
    """Visits drawn at random out of those added, each as likely as another, ``most`` records of them at most.

    Those with the smallest keyed hashes stay (bottom-k), so that the draw depends on the log and the seed alone.
    ``seen`` counts the records added.
    """

    def __init__(self, most: int, seed: int = 1) -> None:
        """``most``: LONGEST or more."""
        self.seen = 0
        self._most = most
        self._key = seed.to_bytes(8, "big", signed=True)
        self._kept: dict[_Visit, list[Record]] = {}
        self._largest: list[tuple[int, _Visit]] = []  # a heap, by the negated hash
        self._below = 1 << 64
        self._count = 0

    def add(self, record: Record) -> None:
        """Take a record in, or leave it out."""
        self.seen += 1
        visit = record.client, int(record.time) // HOUR
        kept = self._kept.get(visit)
        if kept is None:
            drawn = self._hash(visit)
            if drawn >= self._below:
                return
            kept = self._kept[visit] = []
            heapq.heappush(self._largest, (-drawn, visit))
        if len(kept) >= LONGEST:
            return
        kept.append(record)
        self._count += 1
        while self._count > self._most:
            drawn, last = heapq.heappop(self._largest)
            self._below = -drawn
            self._count -= len(self._kept.pop(last))

    def records(self) -> list[Record]:
        """Those kept, in the order of their time."""
        return sorted((record for kept in self._kept.values() for record in kept), key=_time)

    def _hash(self, visit: _Visit) -> int:
        client, hour = visit
        told = blake2b(f"{hour} {client}".encode("utf-8", "replace"), digest_size=8, key=self._key)
        return int.from_bytes(told.digest(), "big")

    def __repr__(self) -> str:
        return f"<Draw {self._count} records of {len(self._kept)} visits, {self.seen} seen>"


def _time(record: Record) -> float:
    return record.time


def parted(records: list[Record], newest: float) -> tuple[list[Record], list[Record]]:
    """Records in the order of their time as the older and the ``newest`` share of them, at a moment: what ended in the
    same one stays together, among the newest."""
    if not records:
        return [], []
    moment = records[min(len(records) - 1, int(len(records) * (1 - newest)))].time
    older = sum(record.time < moment for record in records)
    return records[:older], records[older:]
