"""The thread that keeps L2: opens the environment, writes what it is handed in batches, purges, syncs, heals.

Nothing in an event loop waits for it. What it cannot keep up with, or cannot write, is dropped and counted: a cache
that has forgotten something is a cache.
"""

from __future__ import annotations

import logging
import shutil
import threading
import time
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from pathlib import Path

import lmdb

from edgeproxy.cache.disk_batch import Batch, Item
from edgeproxy.cache.disk_environment import DAMAGES, Opened, full, open_environment, refused, replace_damaged
from edgeproxy.cache.disk_layout import CHUNK, body_cost
from edgeproxy.cache.disk_order import CHANGED, Order, to_item
from edgeproxy.cache.disk_purges import Purges
from edgeproxy.cache.disk_store import DamagedError, Store
from edgeproxy.cache.purge import Purge

logger = logging.getLogger("edgeproxy.cache")

QUEUE_BYTES = 64 * 2**20
BATCH_BYTES = 16 * 2**20
LINGER = 0.02  # seconds the first of a batch waits for others
TICK = 1.0  # seconds between looks at the file
SYNC_EVERY = 5.0  # seconds between syncs: what a machine that goes down may lose
RETRY_AFTER = 5.0  # seconds before an environment that could not be opened, or written to, is tried again
CLOSE_WITHIN = 5.0  # seconds for what is queued when the worker leaves
AHEAD = 4  # batches that the file is kept larger than is in use
TRIES = 3  # of a batch that finds no room
MOST_MARKS = 10_000  # heads asked for since they were last noted; more wait for their next time

# Takes how many were evicted, and the wall times at which those that could be read were 0 seconds old.
Evicted = Callable[[int, Sequence[float]], None]


class Writer:
    """One a worker. ``store`` is what may be read from, None while there is nothing; ``trouble`` says why."""

    def __init__(self, folder: Path, size: int, dropped: Callable[[str], None], evicted: Evicted) -> None:
        self.store: Store | None = None
        self.trouble = ""
        self.books = (0, 0)
        self.waiting = 0  # bytes in the queue
        self._folder = folder
        self._size = size
        self._dropped = dropped
        self._evicted = evicted
        self._opened: Opened | None = None
        self._orders: deque[Order] = deque()
        self._damages: deque[DamagedError] = deque(maxlen=1_000)
        self._marks: dict[bytes, None] = {}
        self._suspicion: str | None = None
        self._resized = False
        self._given: int | None = None  # bytes the disk has given to the file, where it gives no more
        self._unsynced = False
        self._retry_at = 0.0
        self._synced_at = 0.0
        self._closing = False
        self._wake = threading.Condition()
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._run, name="disk", daemon=True)
        self.purges = Purges()

    # What the event loop calls.

    def start(self) -> None:
        """Begin; what is there can be read a moment later."""
        self._thread.start()

    def ready(self, timeout: float) -> bool:
        """Wait until the environment was opened, or could not be; False if that takes longer."""
        return self._ready.wait(timeout)

    def put(self, order: Order) -> None:
        """Hand an answer over, or drop it where too many wait."""
        with self._wake:
            if self.store is None or self._closing:
                reason = "down"
            elif self.waiting + order.size > QUEUE_BYTES:
                reason = "queue"
            else:
                self._orders.append(order)
                self.waiting += order.size
                self._wake.notify()
                return
        self._dropped(reason)

    def purge(self, purge: Purge) -> Future[int]:
        """Hand a purge over; the future holds how many answers it was about."""
        with self._wake:
            for order in [order for order in self._orders if purge.matches(order.record.key, order.record.tags)]:
                self._orders.remove(order)  # what is in hand will be written before the purge looks
                self.waiting -= order.size
            done = self.purges.add(purge)
            self._wake.notify()
        return done

    def damaged(self, damage: DamagedError) -> None:
        """A row was found damaged: have it taken away."""
        with self._wake:
            self._damages.append(damage)
            self._wake.notify()

    def failed(self, error: lmdb.Error) -> None:
        """Reading failed."""
        with self._wake:
            if isinstance(error, DAMAGES):
                self._suspicion = str(error)
            elif isinstance(error, lmdb.MapResizedError):  # another worker has a larger limit already
                self._resized = True
            self._wake.notify()

    def mark(self, head: bytes) -> None:
        """Note that a head was asked for."""
        if len(self._marks) < MOST_MARKS:
            self._marks[head] = None

    def resize(self, size: int) -> None:
        """Have another limit, in bytes."""
        with self._wake:
            if size != self._size:
                self._size = size
                self._resized = True
                self._wake.notify()

    def close(self) -> None:
        """Write what is queued, and let the environment go. Waits for that, CLOSE_WITHIN seconds at most."""
        with self._wake:
            self._closing = True
            self._wake.notify()
        self._thread.join(CLOSE_WITHIN)

    @property
    def room(self) -> int:
        """Bytes that answers may take of the file. LMDB overwrites nothing: the rest is for what is written before what
        it replaces is free."""
        room = self._size * 3 // 4
        if self._given is None:
            return room
        return min(room, max(self._given - AHEAD * self.batch, self._given // 4))

    @property
    def batch(self) -> int:
        """Bytes that one transaction may write: few enough that three of them find room."""
        return min(BATCH_BYTES, self._size // 32)

    @property
    def heads(self) -> int:
        """Heads that one transaction may store or forget."""
        return max(1, self.batch // CHANGED)

    # The thread.

    def _run(self) -> None:
        while True:
            orders = self._take()
            try:
                if self._opened is None:
                    self._open()
                if self._opened is not None:
                    self._work(self._opened, orders)
                    self._look_after(self._opened)
                else:
                    self._drop(orders, "down")
            except DAMAGES as error:
                self._drop(orders, "error")
                self._replace(str(error))
            except (lmdb.Error, OSError) as error:
                self._drop(orders, "error")
                if not isinstance(error, lmdb.MapResizedError):
                    self._trouble(str(error))
                if not refused(error):
                    self._let_go()
            if self._closing and not self._orders:
                self._leave()
                return

    def _leave(self) -> None:
        if self._opened is not None:
            try:
                self.purges.note(self._opened.store)
            except lmdb.Error as error:
                logger.error("disk cache %s: purges not ended: %s", self._folder, error)
        self._let_go()

    def _take(self) -> list[Order]:
        """The next batch; empty where nothing came for a while."""
        with self._wake:
            if not (self._orders or self._has_other_work()):
                self._wake.wait(TICK)
            if self._orders and not self._closing:
                self._wake.wait_for(lambda: self._closing or self.waiting >= self.batch, LINGER)
            orders: list[Order] = []
            size = 0
            while self._orders and size < self.batch:
                orders.append(self._orders.popleft())
                size += orders[-1].size
            self.waiting -= size
            return orders

    def _has_other_work(self) -> bool:
        if self._closing or time.monotonic() < self._retry_at:
            return self._closing
        if self._opened is None:
            return True
        full = self.books[0] > self.room
        return bool(self._damages or self._suspicion or self._resized or self.purges or full)

    def _open(self) -> None:
        if time.monotonic() < self._retry_at:
            return
        try:
            opened = self._opened = open_environment(self._folder, self._size)
            self._allot(opened)
            self.purges.recall(opened.store)
            while not self._closing and self.purges.step(opened.store, self.heads):
                pass  # what was purged while it was away is never served
            self.books = opened.store.books()
            self.store = opened.store
            self._fine()
        except (lmdb.Error, OSError) as error:
            self._let_go()
            self._trouble(str(error))
        finally:
            self._ready.set()

    def _work(self, opened: Opened, orders: list[Order]) -> None:
        if self._suspicion is not None:
            reason, self._suspicion = self._suspicion, None
            raise lmdb.CorruptedError(reason)
        if time.monotonic() < self._retry_at:
            self._drop(orders, "error")
            return
        if orders or self._damages or self.books[0] > self.room:
            self._write(opened.store, orders)
            self._allot(opened)
        if self.purges:
            self._unsynced = True
            self.purges.step(opened.store, self.heads)
            self.books = opened.store.books()

    def _write(self, store: Store, orders: Sequence[Order]) -> None:
        items = [item for order in orders if (item := to_item(order, self.room // 16)) is not None]
        self._drop(orders[len(items) :], "too_large")
        incoming = sum([body_cost(item.record.length, CHUNK) for item in items])
        for _ in range(TRIES - 1):
            try:
                self._make_room(store, incoming)
                self._commit(store, items)
                break
            except lmdb.Error as error:
                if not full(error):
                    raise
                self._relieve(store)
        else:
            self._commit(store, items)
        self._fine()

    def _make_room(self, store: Store, incoming: int) -> None:
        """Evict until there is room for so many bytes more, in steps: others write between them."""
        gone = 1
        while gone and self.books[0] + incoming > self.room:
            with Batch(store) as batch:
                gone = batch.make_room(self.room - incoming, self.heads)
                self.books = batch.used, batch.heads
            self._evicted(gone, batch.made_room)

    def _commit(self, store: Store, items: Sequence[Item]) -> None:
        with Batch(store) as batch:
            while self._damages:
                damage = self._damages.popleft()
                batch.drop(damage.head)
                if damage.digest:
                    batch.lose(damage.digest)
            for item in items:
                batch.write(item)
            books = batch.used, batch.heads
        self._unsynced = True
        self.books = books

    def _allot(self, opened: Opened) -> None:
        """Have room ahead, or learn to do with what there is."""
        try:
            opened.allot(AHEAD * self.batch)
            self._given = None
        except OSError as error:
            if self._given is None:
                logger.warning("disk cache %s cannot grow: %s (%s)", self._folder, error, _free(self._folder))
            self._given = opened.length

    def _relieve(self, store: Store) -> None:
        """Make room in a file that may not grow, or cannot. What is freed can be used in the transaction after the
        next; and freeing takes room itself, for which there is a reserve. What this process is reading is let go."""
        store.environment.reader_check()
        if self._opened is not None:
            store.environment.set_mapsize(self._opened.ceiling)
        for _ in range(3):
            with Batch(store) as batch:
                gone = batch.make_room(min(batch.used, self.room) - self.batch, self.heads)
            self._evicted(gone, batch.made_room)

    def _look_after(self, opened: Opened) -> None:
        """What is to be done now and then."""
        now = time.monotonic()
        wrong = opened.wrong()
        if wrong is not None:
            logger.warning("disk cache %s: %s; opening it anew", self._folder, wrong)
            self._let_go()
            return
        if self._resized:
            self._resized = False
            opened.adapt(self._size)
        if now >= self._synced_at + SYNC_EVERY:
            self._synced_at = now
            self._note_marks(opened.store)
            opened.store.environment.reader_check()
            if self._unsynced:
                self._unsynced = False
                opened.store.environment.sync(True)
            self.books = opened.store.books()

    def _note_marks(self, store: Store) -> None:
        marks, self._marks = self._marks, {}
        if marks and not self.trouble:
            try:
                with Batch(store) as batch:
                    batch.mark(list(marks)[: self.heads])
            except lmdb.Error as error:
                if not full(error):
                    raise
                # They are noted when they are asked for again.

    def _replace(self, reason: str) -> None:
        opened, self._opened, self.store = self._opened, None, None
        if opened is not None:
            try:
                replace_damaged(self._folder, opened, reason)
            except OSError as error:
                self._trouble(str(error))

    def _let_go(self) -> None:
        opened, self._opened, self.store = self._opened, None, None
        if opened is not None:
            opened.close()

    def _drop(self, orders: Sequence[Order], reason: str) -> None:
        for _ in orders:
            self._dropped(reason)

    def _trouble(self, text: str) -> None:
        """Say once what does not work, and try again later."""
        self._retry_at = time.monotonic() + RETRY_AFTER
        if text != self.trouble:
            self.trouble = text
            free = _free(self._folder)
            logger.error("disk cache %s: %s (%s); serving on without what it cannot do", self._folder, text, free)

    def _fine(self) -> None:
        self._retry_at = 0.0
        if self.trouble:
            self.trouble = ""
            logger.info("disk cache %s works again", self._folder)


def _free(folder: Path) -> str:
    """What there is room for where a folder is, or would be."""
    while not folder.exists():
        folder = folder.parent
    return f"{shutil.disk_usage(folder).free / 1e6:.1f} MB free on the disk"
