"""Who has been here: one mapped table of clients for all workers of a node, of a fixed size.

A place is 8 bytes: 20 bits that tell clients of the same place apart, when the client was seen first and when last, in
units of four seconds. Places are found by a keyed hash, so nobody chooses whose place to take; a client's four places
follow each other, and who has not been seen for the longest gives way. A place is written whole, so workers need no
lock: at worst a client is taken for new once more.
"""

from __future__ import annotations

import mmap
import os
from hashlib import blake2b
from pathlib import Path
from typing import Final

from edgeproxy.http.addresses import network

PLACES: Final = 1 << 19  # of 8 bytes: 4 MB a node
WAYS: Final = 4
UNIT: Final = 4.0  # seconds
REMEMBERED: Final = 6 * 3600.0  # seconds without a visit after which a client is new again
MARGIN: Final = 16.0  # seconds before a surge was noticed in which it may already have begun

_TIME: Final = (1 << 22) - 1  # units wrap after 194 days; only differences count
_TAG: Final = (1 << 20) - 1


class Clients:
    """``secret`` keys the hash. Without a folder the table is this process's own. Raises OSError where there is no
    memory for it."""

    def __init__(self, secret: bytes, folder: Path | None = None) -> None:
        self._secret = secret
        size = PLACES * 8
        if folder is None:
            self._map = mmap.mmap(-1, size)
        else:
            descriptor = os.open(folder / "floods-clients", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(descriptor, 0, size)
                self._map = mmap.mmap(descriptor, size)
            finally:
                os.close(descriptor)
        self._places = memoryview(self._map).cast("Q")

    def key(self, client: str) -> int:
        """What stands for a client, given as text: an IPv4 address, or an IPv6 customer's /64."""
        digest = blake2b(network(client, 32, 64).encode(), key=self._secret, digest_size=5).digest()
        return int.from_bytes(digest, "big")

    def meet(self, key: int, now: float) -> bool:
        """Note a visit at ``now`` (monotonic seconds); whether it is the first one."""
        first, tag = self._first(key), (key & _TAG) or 1  # a place of 0 is free
        unit = int(now / UNIT) & _TIME
        oldest, oldest_age = first, -1
        for at in range(first, first + WAYS):
            place = self._places[at]
            age = (unit - place) & _TIME if place else _TIME + 1
            if place and place >> 44 == tag and age * UNIT < REMEMBERED:
                if age:
                    self._places[at] = place >> 22 << 22 | unit
                return False
            if age > oldest_age:
                oldest, oldest_age = at, age
        self._places[oldest] = (tag << 22 | unit) << 22 | unit
        return True

    def known(self, key: int, before: float) -> bool:
        """Whether a client had been here well before this time (monotonic seconds)."""
        first, tag = self._first(key), (key & _TAG) or 1  # a place of 0 is free
        unit = int(before / UNIT) & _TIME
        for at in range(first, first + WAYS):
            place = self._places[at]
            if place and place >> 44 == tag:
                passed = (unit - (place >> 22)) & _TIME
                return MARGIN / UNIT <= passed < _TIME // 2
        return False

    def _first(self, key: int) -> int:
        return (key >> 20) % (PLACES // WAYS) * WAYS
