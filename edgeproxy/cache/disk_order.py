"""An answer on its way to L2: from the entry an event loop hands over to what a batch writes."""

from __future__ import annotations

from typing import NamedTuple

from edgeproxy.cache.disk_batch import Item
from edgeproxy.cache.disk_layout import CHUNK, body_cost, digest_of
from edgeproxy.cache.record import Record, pack

CHANGED = 48 * 1024  # bytes of the trees that are written anew for one head stored or forgotten, at most


class Order(NamedTuple):
    """An answer to be stored: its head without digests, and its body; None if it lies there already."""

    record: Record
    body: bytes | None

    @property
    def size(self) -> int:
        """Bytes it takes while it waits, and of the file while it is written."""
        return CHANGED + (0 if self.body is None else len(self.body))


def to_item(order: Order, largest: int) -> Item | None:
    """The order with its body cut into chunks and their digests; None where it would take more than ``largest`` bytes
    of the file, or its head cannot be kept. Reads the whole body: not for an event loop."""
    record, body = order
    chunks: list[memoryview | bytes] | None = None
    if body_cost(record.length, CHUNK) > largest:
        return None
    if body is not None:
        view = memoryview(body)
        chunks = [view[start : start + CHUNK] for start in range(0, len(body), CHUNK)]
        digests = tuple([digest_of(chunk) for chunk in chunks])
        record = record._replace(length=len(body), chunk=CHUNK, digests=digests)
    try:
        return Item(record, pack(record), chunks)
    except ValueError:
        return None
