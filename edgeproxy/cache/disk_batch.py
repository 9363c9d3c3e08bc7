"""One writing transaction on L2's tables: storing, forgetting, evicting, marking, purging, with the books kept in step.

All workers of a node write into one environment, one at a time; what a batch does becomes visible as a whole.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from itertools import islice
from types import TracebackType
from typing import NamedTuple, Self

from edgeproxy.cache import record as cache_record
from edgeproxy.cache.disk_layout import (
    BOOKS,
    CHUNK,
    COUNT,
    LONGEST,
    NUMBER,
    PIECE,
    PREFIX,
    VARIANT,
    chunk_cost,
    head_cost,
    piece_key,
    pieces_of,
    place,
    tag_of,
    variant_of,
)
from edgeproxy.cache.disk_store import Store, read_books
from edgeproxy.cache.purge import Purge
from edgeproxy.cache.record import Record, pack, unpack
from edgeproxy.cache.vary import VARIANT_LIMIT


class Item(NamedTuple):
    """What is to be stored: a head, and the chunks of its body; None if they lie in the environment already."""

    record: Record
    packed: bytes
    chunks: Sequence[memoryview | bytes] | None


class Batch:
    """A context manager: committed at its end, undone where it raises. Raises lmdb.Error."""

    def __init__(self, store: Store) -> None:
        self.made_room: list[float] = []  # the wall times at which what had to go was 0 seconds old
        self._store = store
        self._transaction = store.environment.begin(write=True)
        self.used, self.heads = read_books(self._transaction.get(b"books", db=store.about))

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        try:
            if kind is None:
                self._transaction.put(b"books", BOOKS.pack(self.used, self.heads), db=self._store.about)
                self._transaction.commit()
        finally:
            self._transaction.abort()  # after a commit this is nothing

    # Storing and forgetting.

    def write(self, item: Item) -> bool:
        """Store an answer in place of what it replaces; False if a newer one is there, or its body is no more."""
        tables, transaction, record = self._store, self._transaction, item.record
        where = place(record.key)
        head = where + variant_of(record.variant)
        value = transaction.get(head, db=tables.heads)
        old = None if value is None else unpack(value[PREFIX.size :])
        if old is not None and old.began > record.began:
            return False
        if item.chunks is None and not all(self._has(digest) for digest in record.digests):
            return False
        for number, digest in enumerate(record.digests):  # before the old ones are let go: they may be the same
            self._hold(digest, None if item.chunks is None else item.chunks[number])
        names = b",".join(record.vary)
        present = transaction.get(where, db=tables.resources)
        if present is not None and present != names:
            self.forget(where)
        elif value is not None:
            self._remove(head, value)
        elif present is not None and record.vary:
            variants = list(self._heads_from(where))
            if len(variants) >= VARIANT_LIMIT:
                self.drop(variants[0])
        transaction.put(where, names, db=tables.resources)
        for tag in record.tags:
            transaction.put(tag_of(tag), head, db=tables.tags)
        self._place(head, item.packed)
        self.used += head_cost(head, len(item.packed), record.tags)
        self.heads += 1
        return True

    def drop(self, head: bytes) -> bool:
        """Forget one head, whatever its row holds; False if it is not there."""
        value = self._transaction.get(head, db=self._store.heads)
        if value is None:
            return False
        self._remove(head, value)
        return True

    def forget(self, where: bytes) -> None:
        """Forget all variants of a resource by its place."""
        for head in list(self._heads_from(where)):
            self.drop(head)

    def lose(self, digest: bytes) -> None:
        """Forget a chunk's bytes, not who has it: the next answer that has it brings it anew."""
        for number in range(CHUNK // PIECE):
            self._transaction.delete(piece_key(digest, number), db=self._store.pieces)

    def _place(self, head: bytes, packed: bytes) -> None:
        """Put a head at the young end of the order."""
        with self._transaction.cursor(self._store.order) as cursor:
            number = NUMBER.unpack(cursor.key())[0] + 1 if cursor.last() else 1
        self._transaction.put(NUMBER.pack(number), head, append=True, db=self._store.order)
        self._transaction.put(head, PREFIX.pack(number, 0) + packed, db=self._store.heads)

    def _remove(self, head: bytes, value: bytes) -> Record | None:
        tables, transaction = self._store, self._transaction
        transaction.delete(head, db=tables.heads)
        transaction.delete(NUMBER.pack(PREFIX.unpack_from(value)[0]), db=tables.order)
        where = head[:-VARIANT]
        if next(self._heads_from(where), None) is None:
            transaction.delete(where, db=tables.resources)
        self.heads = max(0, self.heads - 1)
        record = unpack(value[PREFIX.size :])
        if record is None:
            return None  # which chunks and tags it had is lost with it
        for tag in record.tags:
            transaction.delete(tag_of(tag), head, db=tables.tags)
        for number, digest in enumerate(record.digests):
            self._release(digest, min(record.chunk, record.length - number * record.chunk))
        self.used = max(0, self.used - head_cost(head, len(value) - PREFIX.size, record.tags))
        return record

    def _hold(self, digest: bytes, chunk: memoryview | bytes | None) -> None:
        tables, transaction = self._store, self._transaction
        count = transaction.get(digest, db=tables.references)
        held = 0 if count is None else COUNT.unpack(count)[0]
        if chunk is not None and (not held or not self._has(digest)):
            for piece in range(pieces_of(len(chunk))):
                start = piece * PIECE
                transaction.put(piece_key(digest, piece), chunk[start : start + PIECE], db=tables.pieces)
        if not held and chunk is not None:
            self.used += chunk_cost(len(chunk))
        transaction.put(digest, COUNT.pack(held + 1), db=tables.references)

    def _release(self, digest: bytes, size: int) -> None:
        tables, transaction = self._store, self._transaction
        count = transaction.get(digest, db=tables.references)
        held = 0 if count is None else COUNT.unpack(count)[0]
        if held > 1:
            transaction.put(digest, COUNT.pack(held - 1), db=tables.references)
            return
        transaction.delete(digest, db=tables.references)
        for piece in range(pieces_of(size)):
            transaction.delete(piece_key(digest, piece), db=tables.pieces)
        self.used = max(0, self.used - chunk_cost(size))

    def _has(self, digest: bytes) -> bool:
        with self._transaction.cursor(self._store.pieces) as cursor:
            return bool(cursor.set_key(piece_key(digest, 0)))

    def _heads_from(self, prefix: bytes, after: bytes = b"") -> Iterator[bytes]:
        """Heads whose keys begin with ``prefix``, behind ``after``; the table must not change meanwhile."""
        with self._transaction.cursor(self._store.heads) as cursor:
            found = cursor.set_range(max(prefix, after)) if prefix or after else cursor.first()
            while found:
                head = cursor.key()
                if not head.startswith(prefix):
                    return
                if head != after:
                    yield head
                found = cursor.next()

    # Making room.

    def mark(self, heads: Sequence[bytes]) -> None:
        """Note that these were asked for: they stay when their turn to go comes first."""
        for head in heads:
            value = self._transaction.get(head, db=self._store.heads)
            if value is not None and not value[PREFIX.size - 1]:
                number = PREFIX.unpack_from(value)[0]
                self._transaction.put(head, PREFIX.pack(number, 1) + value[PREFIX.size :], db=self._store.heads)

    def make_room(self, limit: int, most: int) -> int:
        """Forget the oldest until at most ``limit`` bytes are in use, or ``most`` are gone; returns how many that are.

        FIFO with a second chance: who was asked for begins anew at the young end, up to ``most`` of them in one go.
        """
        tables, transaction = self._store, self._transaction
        chances, gone = most, 0
        while self.used > limit and gone < most:
            with transaction.cursor(tables.order) as cursor:
                if not cursor.first():
                    self.used = self.heads = 0
                    break
                number, head = cursor.item()
            value = transaction.get(head, db=tables.heads)
            if value is None:
                transaction.delete(number, db=tables.order)
            elif value[PREFIX.size - 1] and chances:
                chances -= 1
                transaction.delete(number, db=tables.order)
                self._place(head, value[PREFIX.size :])
            else:
                record = self._remove(head, value)
                gone += 1
                if record is not None:
                    self.made_room.append(record.base)
        return gone

    # Purging.

    def purge(self, purge: Purge, after: bytes, most: int) -> tuple[int, bytes | None]:
        """Do a part of a purge: look at up to ``most`` heads behind ``after`` (b"" to begin). Returns how many it was
        about, and where to go on; None at the end."""
        about = 0
        heads = list(islice(self._candidates(purge, after), most))
        for head in heads:
            value = self._transaction.get(head, db=self._store.heads)
            if value is not None and self._purge_one(purge, head, value):
                about += 1
        return about, heads[-1] if len(heads) == most else None

    def _purge_one(self, purge: Purge, head: bytes, value: bytes) -> bool:
        record = unpack(value[PREFIX.size :])
        if record is None:
            self._remove(head, value)
            return False
        if record.began > purge.at or not purge.matches(record.key, record.tags):
            return False
        if not purge.soft:
            self._remove(head, value)
            return True
        entry = cache_record.to_entry(record, None)
        entry.expire(purge.at)
        # As if fetched right behind the purge, which is done with it now.
        began = math.nextafter(purge.at, math.inf)
        stale = cache_record.of_entry(entry, began, record.length, record.chunk, record.digests)
        packed = pack(stale)
        self.used += head_cost(head, len(packed), record.tags) - head_cost(head, len(value) - PREFIX.size, record.tags)
        self._transaction.put(head, value[: PREFIX.size] + packed, db=self._store.heads)
        return True

    def _candidates(self, purge: Purge, after: bytes) -> Iterator[bytes]:
        """Heads a purge may be about, in their order."""
        if purge.kind == "tag":
            yield from self._tagged(tag_of(purge.value), after)
            return
        for prefix in _prefixes(purge):
            if after[: len(prefix)] <= prefix:
                yield from self._heads_from(prefix, after)

    def _tagged(self, tag: bytes, after: bytes) -> Iterator[bytes]:
        with self._transaction.cursor(self._store.tags) as cursor:
            found = cursor.set_range_dup(tag, after) if after else cursor.set_key(tag)
            while found:
                head = cursor.value()
                if head != after:
                    yield head
                found = cursor.next_dup()

    # Purges under way, so that what one process began another one ends.

    def note(self, name: bytes, value: bytes | None) -> None:
        """Keep a note under a name; None takes it away."""
        if value is None:
            self._transaction.delete(name, db=self._store.about)
        else:
            self._transaction.put(name, value, db=self._store.about)


def _prefixes(purge: Purge) -> tuple[bytes, ...]:
    """What the places of all resources a purge may be about begin with, in ascending order."""
    if purge.kind == "url" and len(purge.value) < LONGEST:
        return purge.value + b"\0", purge.value + b"#"
    return tuple(sorted({beginning[:LONGEST] for beginning in purge.beginnings()}))
