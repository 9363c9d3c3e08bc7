"""A body that is read from L2 chunk by chunk, each checked before it is given out."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import lmdb

from edgeproxy.cache.disk_store import DamagedError, Store
from edgeproxy.cache.record import Record
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body

PINNED = 10.0  # seconds a body keeps what it reads from being overwritten; a slower reader may lose it to eviction
READERS = 4  # threads that read for all bodies of a worker
TRIES = 30  # while the environment is opened anew, AGAIN seconds apart
AGAIN = 0.1


class DiskBody(Body):
    """The bytes from ``first`` to ``last``, both inclusive, of a stored body.

    Disks may be slow, so they are read on a thread of ``pool``. What is damaged or gone ends the body as broken off.
    """

    def __init__(
        self,
        store: Callable[[], Store | None],
        pool: ThreadPoolExecutor,
        head: bytes,
        record: Record,
        first: int,
        last: int,
    ) -> None:
        self.length = last + 1 - first
        self._store = store
        self._pool = pool
        self._head = head
        self._record = record
        self._position = first
        self._end = last + 1
        self._transaction: lmdb.Transaction[bytes] | None = None
        self._pinned_until = 0.0
        self._lock = threading.Lock()
        self._reading = False
        self._closed = False

    async def read(self) -> bytes:
        if self._position >= self._end or self._closed:
            self.close()
            return b""
        try:
            data = await asyncio.get_running_loop().run_in_executor(self._pool, self._next)
        except DamagedError as error:
            self.close()
            raise EdgeError(Kind.INTERNAL, "edge", f"a stored body broke off: {error}") from None
        self._position += len(data)
        return data

    def close(self) -> None:
        with self._lock:
            self._closed = True
            if not self._reading:
                self._release()

    def _next(self) -> bytes:
        """What comes next: the rest of one chunk. On a thread."""
        with self._lock:
            self._reading = True
        try:
            number, offset = divmod(self._position, self._record.chunk)
            data = self._chunk(number)
            return data[offset : offset + self._end - self._position]
        finally:
            with self._lock:
                self._reading = False
                if self._closed:
                    self._release()

    def _chunk(self, number: int) -> bytes:
        record = self._record
        digest, size = record.digests[number], min(record.chunk, record.length - number * record.chunk)
        for _ in range(TRIES - 1):
            store = self._store()
            try:
                if store is not None:
                    return store.chunk(self._snapshot(store), self._head, digest, size)
            except lmdb.Error:
                self._release()  # it was opened anew, with another limit for instance
            time.sleep(AGAIN)
        raise DamagedError(self._head)

    def _snapshot(self, store: Store) -> lmdb.Transaction[bytes]:
        """The tables as they were when reading began, for a while: what is evicted or purged since is still read."""
        now = time.monotonic()
        if self._transaction is not None and now > self._pinned_until:
            self._release()
        if self._transaction is None:
            self._transaction = store.environment.begin()
            self._pinned_until = now + PINNED
        return self._transaction

    def _release(self) -> None:
        if self._transaction is not None:
            self._transaction.abort()
            self._transaction = None

    def __repr__(self) -> str:
        return f"<DiskBody {self._end - self._position} of {self.length} B to come>"
