"""What lies in one LMDB environment: its tables, and reading from them. Writing: :mod:`edgeproxy.cache.disk_batch`.

Whatever is read is checked: a head by its checksum and against the key it was asked for, a chunk against its digest.
Heads that were read lately are remembered: the same bytes at the same place are not unpacked again.
"""

from __future__ import annotations

from itertools import islice
from typing import Final

import lmdb

from edgeproxy.cache.disk_layout import (
    BOOKS,
    FORMAT,
    LONGEST,
    PREFIXED,
    SELECTORS,
    is_sound,
    piece_key,
    pieces_of,
    place,
    variant_of,
)
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.record import Record, to_entry, unpack
from edgeproxy.http.headers import Headers

TABLES: Final = 7
HEADS_KEPT: Final = 1024
HEAD_LONGEST: Final = 4096  # bytes
READERS: Final = 4096  # reading transactions of all processes at once: a slot of 64 bytes each


class DamagedError(Exception):
    """A row that does not hold what was written there; ``digest`` names the chunk, b"" for a head."""

    def __init__(self, head: bytes, digest: bytes = b"") -> None:
        super().__init__("a stored answer is damaged")
        self.head = head
        self.digest = digest


class Store:
    """The tables of an environment. Raises lmdb.Error where the environment cannot be used."""

    def __init__(self, environment: lmdb.Environment) -> None:
        self.environment = environment
        self._known: dict[bytes, Known] = {}
        self._names: dict[bytes, bytes] = {}
        with environment.begin(write=True) as transaction:
            self.resources = environment.open_db(b"resources", transaction)
            self.heads = environment.open_db(b"heads", transaction)
            self.order = environment.open_db(b"order", transaction)
            self.tags = environment.open_db(b"tags", transaction, dupsort=True)
            self.pieces = environment.open_db(b"pieces", transaction)
            self.references = environment.open_db(b"references", transaction)
            self.about = environment.open_db(b"about", transaction)
            transaction.put(b"format", FORMAT, overwrite=False, db=self.about)

    def format(self) -> bytes:
        """The format of the layout it was begun with."""
        with self.environment.begin() as transaction:
            return bytes(transaction.get(b"format", db=self.about) or b"")

    def books(self) -> tuple[int, int]:
        """Bytes and heads in it."""
        with self.environment.begin() as transaction:
            return read_books(transaction.get(b"books", db=self.about))

    def find(self, key: bytes, headers: Headers, inline: int) -> Found | None:
        """The variant that a request with these fields selects, with its body if that has at most ``inline`` bytes.

        Raises DamagedError, or lmdb.Error.
        """
        transaction = self.environment.begin()
        try:
            where = place(key)
            names = self._names.get(key)
            found = None
            if names is not None:
                found = self._get(transaction, key, where, SELECTORS[names](headers), inline)
            if found is None:  # heads go with the names they were selected by: those there now may be others
                names = self._vary(transaction, key, where)
                if names is not None:
                    found = self._get(transaction, key, where, SELECTORS[names](headers), inline)
            return found
        finally:
            transaction.abort()

    def variant(self, key: bytes, variant: bytes, inline: int) -> Found | None:
        """The same by the variant's own name."""
        transaction = self.environment.begin()
        try:
            return self._get(transaction, key, place(key), variant, inline)
        finally:
            transaction.abort()

    def _get(
        self, transaction: lmdb.Transaction[bytes], key: bytes, where: bytes, variant: bytes, inline: int
    ) -> Found | None:
        head = where + variant_of(variant)
        value = transaction.get(head, None, self.heads)
        if value is None:
            return None
        known = self._read(head, value[PREFIXED:])
        record = known.record
        if record.key != key or record.variant != variant:
            return None
        body = self._body(transaction, head, record) if record.length <= inline else None
        return Found(head, known, body, value[PREFIXED - 1] != 0)

    def _vary(self, transaction: lmdb.Transaction[bytes], key: bytes, where: bytes) -> bytes | None:
        """The names a resource's answers vary by, None if it has none; remembered by its key, if that is not long."""
        names = transaction.get(where, None, self.resources)
        if len(self._names) >= HEADS_KEPT:
            self._names.clear()
        if names is None:
            self._names.pop(key, None)
        elif len(key) <= LONGEST:
            self._names[key] = names
        return names

    def _read(self, head: bytes, packed: bytes) -> Known:
        """The head these bytes are."""
        known = self._known.get(head)
        if known is not None and known.packed == packed:
            return known
        record = unpack(packed)
        if record is None:
            raise DamagedError(head)
        known = Known(packed, record)
        if len(packed) <= HEAD_LONGEST:
            if len(self._known) >= HEADS_KEPT:
                self._known.clear()
            self._known[head] = known
        return known

    def _body(self, transaction: lmdb.Transaction[bytes], head: bytes, record: Record) -> bytes:
        digests = record.digests
        if len(digests) == 1:
            return self.chunk(transaction, head, digests[0], record.length)
        chunk, left = record.chunk, record.length
        chunks: list[bytes] = []
        for digest in digests:
            chunks.append(self.chunk(transaction, head, digest, min(chunk, left)))
            left -= chunk
        return b"".join(chunks)

    def chunk(self, transaction: lmdb.Transaction[bytes], head: bytes, digest: bytes, size: int) -> bytes:
        """A chunk's bytes, checked. Raises DamagedError, or lmdb.Error."""
        cursor = transaction.cursor(self.pieces)
        if not cursor.set_key(piece_key(digest, 0)):
            raise DamagedError(head, digest)
        data = b"".join(islice(cursor.iternext(False, True), pieces_of(size)))
        # The digest tells whether they are these.
        if len(data) != size or not is_sound(data, digest):
            raise DamagedError(head, digest)
        return data


class Known:
    """A head as it lies there, and unpacked."""

    __slots__ = ("_entry", "packed", "record")

    def __init__(self, packed: bytes, record: Record) -> None:
        self.packed = packed
        self.record = record
        self._entry: Entry | None = None

    def entry(self, body: bytes | None) -> Entry:
        """A new entry of this head."""
        like = self._entry
        if like is None:
            like = self._entry = to_entry(self.record, None)
        return to_entry(self.record, body, like)


class Found:
    """What a look-up found: the head's key, the head, the body if it is short, and whether it is marked as hit."""

    __slots__ = ("body", "head", "known", "marked", "record")

    def __init__(self, head: bytes, known: Known, body: bytes | None, marked: bool) -> None:
        self.head = head
        self.known = known
        self.record = known.record
        self.body = body
        self.marked = marked


def read_books(value: bytes | None) -> tuple[int, int]:
    """Bytes and heads, as the row of that name says."""
    if value is None or len(value) != BOOKS.size:
        return 0, 0
    used, heads = BOOKS.unpack(value)
    return used, heads
