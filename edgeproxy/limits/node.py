"""Limits that all workers of a node count together, in memory they share.

The file is a table of sets of eight places. A place is a keyed hash of the key, 8 bytes, and GCRA's theoretical arrival
time, 8 bytes, on the monotonic clock, which all processes of a machine share. A place whose time has passed says the
same as none, so it is free and nothing is ever cleaned up. Who does not know the node's secret cannot choose the set.

A write is one aligned word, so a process that is killed leaves nothing half written, and what it leaves between the two
words of a place is one that is free.

Whether a lock is needed was measured: four processes that ask for one key as fast as they can let through 20 to 55 %
more than the limit without one, 7 to 45 % with a second look right before or after the write, and none with the
kernel's record locks (1.3 % in the worst of many runs on a busy machine). With 20 microseconds between requests it was
13 %, 7 % and 0.1 %. So what is let through takes a lock on its set, which makes up half of the cost; a refusal, which
writes nothing, takes none. The kernel drops the locks of a process that dies. One that is stopped, or has to wait for a
processor while it holds one, is not waited for: the others take a second lock in its stead, and it looks again before
it writes. Should it write what is outdated nevertheless, the others know better: each remembers what it wrote itself
for some keys, and time does not go back.
"""

from __future__ import annotations

import asyncio
import fcntl
import mmap
import os
from errno import ENOENT
from hashlib import blake2b
from pathlib import Path
from struct import Struct
from typing import Final

WAYS: Final = 8
SET_BYTES: Final = 16 * WAYS
TRIES: Final = 100  # at a lock, a tenth of a millisecond or two: longer than anybody who runs keeps it
OWN: Final = 256  # keys that a worker remembers by itself
LOCKS: Final = 2  # of a set, the second one for when the holder of the first is out

_LOST: Final = 1e-6  # seconds that float arithmetic may lose on whole intervals; they are no excess
_TAGS: Final = Struct(f"={WAYS}Q")
_TIMES: Final = Struct(f"={WAYS}d")
_DIGEST: Final = Struct("=QQ")
_OPENINGS: Final = 100  # attempts, a hundredth of a second apart


class NodeLimiter:
    """Allows ``burst`` events at once and one more each ``interval`` seconds, per key, to all workers together.

    Workers that name the same table in the same ``folder`` share it, from :meth:`start` on; until then, and where there
    is no folder, the counts are this process's own. The last one to leave removes it. It has room for ``keys`` keys
    with a debt (a key has one from when it asks until its whole burst is back) and takes 16 bytes for each, reserved
    from the start, so that it cannot run out of memory later. Where all eight places of a set are in use, the key that
    is nearest to having its whole burst back begins anew, which is the least that can be forgotten of a limit. With a
    quarter as many keys in debt as there is room for, that befalls one new key in 900, with half as many one in 20;
    what it lets through beyond the limit is at most one burst for each key that was pushed out.
    """

    __slots__ = (
        *("_burst", "_file", "_interval", "_map", "_own_tags", "_own_times", "_path", "_secret", "_sets"),
        *("_tags", "_taken", "_times"),
    )

    def __init__(self, interval: float, burst: float, keys: int, secret: bytes, folder: Path | None, name: str) -> None:
        self._interval = interval
        self._burst = interval * burst  # the burst in seconds: how far ahead of now an arrival time may lie
        self._sets = -(-keys // WAYS)
        self._secret = secret
        self._path = None if folder is None else folder / f"limit-{name}"
        self._taken = 0  # places that this process was the first to use
        self._own_tags = [0] * OWN
        self._own_times = [0.0] * OWN
        self._file = -1
        self._use(mmap.mmap(-1, self._sets * SET_BYTES))

    def take(self, key: bytes, now: float, cost: float = 1.0) -> float:
        """Count one event at ``now`` (monotonic seconds).

        The key's theoretical arrival time if it is allowed, else minus the seconds to wait; a refusal is not counted.
        """
        row, tag = self._place(key)
        at = self._find(row, tag)
        arrival = max(now, self._times[at]) if at >= 0 else now
        excess = arrival + cost * self._interval - now - self._burst
        if excess > _LOST:
            return -excess
        lock = self._lock(row)
        try:
            if at < 0 or self._tags[at] != tag:
                at = self._claim(row, tag)
            own = tag % OWN
            least = self._own_times[own] if self._own_tags[own] == tag else 0.0
            while True:
                known = self._times[at]
                arrival = max(now, known, least) + cost * self._interval
                if arrival - now - self._burst > _LOST:  # another worker was faster
                    return now + self._burst - arrival
                if self._times[at] == known or known != known:
                    self._times[at] = self._own_times[own] = arrival
                    self._own_tags[own] = tag
                    return arrival
        finally:
            self._unlock(lock)

    def charge(self, key: bytes, now: float, cost: float) -> None:
        """Count what has happened already, also beyond the burst: the key then waits until it has made up for it."""
        row, tag = self._place(key)
        lock = self._lock(row)
        try:
            at = self._claim(row, tag)
            self._times[at] = max(now, self._times[at]) + cost * self._interval
        finally:
            self._unlock(lock)

    def wait(self, key: bytes, now: float, cost: float = 1.0) -> float:
        """Seconds until an event would be allowed, 0 if it is now. Counts nothing."""
        row, tag = self._place(key)
        at = self._find(row, tag)
        excess = (max(0.0, self._times[at] - now) if at >= 0 else 0.0) + cost * self._interval - self._burst
        return excess if excess > _LOST else 0.0

    def available(self, arrival: float, now: float) -> int:
        """How many events at once are left to a key with this theoretical arrival time."""
        left = self._burst - max(0.0, arrival - now)
        return max(0, int((left + _LOST) / self._interval))

    async def start(self) -> None:
        """Take part in the table of the node. Raises ValueError if there can be none."""
        if self._path is None:
            return
        size = self._sets * SET_BYTES
        try:
            self._file = await _open(self._path)
            os.posix_fallocate(self._file, 0, size)  # a page that cannot be had later would end the process
            self._use(mmap.mmap(self._file, size))
        except (OSError, ValueError) as error:
            await self.stop()
            why = error.strerror if isinstance(error, OSError) else error
            wanted = f"the {size // 1_000_000 or 1} MB that {self._sets * WAYS} keys take"
            raise ValueError(
                f"no room for {wanted} in {self._path.parent}: {why}; lower keys, or make more room there"
            ) from None

    async def stop(self) -> None:
        """Leave the table. Exchanges under way still count in it."""
        descriptor, self._file = self._file, -1
        if descriptor < 0 or self._path is None:
            return
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._path.unlink(missing_ok=True)  # nobody else is in it, and who is opening it looks again
        except OSError:
            pass
        finally:
            os.close(descriptor)

    # -- the table ----------------------------------------------------------------------------------------------------

    def _use(self, table: mmap.mmap) -> None:
        self._map = table
        self._tags = memoryview(table).cast("Q")
        self._times = memoryview(table)[8 * WAYS :].cast("d")  # a key's time has the index of its tag

    def _place(self, key: bytes) -> tuple[int, int]:
        """The set of a key, and what it is known by there."""
        where, tag = _DIGEST.unpack(blake2b(key, digest_size=16, key=self._secret).digest())
        return where % self._sets, tag or 1

    def _find(self, row: int, tag: int) -> int:
        """The word a key's tag is, -1 if it is in none."""
        tags = _TAGS.unpack_from(self._map, row * SET_BYTES)
        return row * 2 * WAYS + tags.index(tag) if tag in tags else -1

    def _claim(self, row: int, tag: int) -> int:
        """The word a key's tag is from now on."""
        at = self._find(row, tag)
        if at < 0:
            times = _TIMES.unpack_from(self._map, row * SET_BYTES + 8 * WAYS)
            at = row * 2 * WAYS + times.index(min(times))
            self._taken += not self._tags[at]
            self._times[at] = 0.0
            self._tags[at] = tag
        return at

    def _lock(self, row: int) -> int:
        """Keep other workers from writing to a set. What is to be unlocked, -1 if nothing could be locked soon."""
        if self._file < 0:
            return -1
        for lock in range(row, row + LOCKS * self._sets, self._sets):
            for _ in range(TRIES):
                try:
                    fcntl.lockf(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB, 1, lock)
                except OSError:
                    continue
                return lock
        return -1

    def _unlock(self, lock: int) -> None:
        if lock >= 0:
            fcntl.lockf(self._file, fcntl.LOCK_UN, 1, lock)

    def __len__(self) -> int:
        """The places this worker was the first to use: all workers' together are those in use, or free again."""
        return self._taken

    def __repr__(self) -> str:
        return f"<NodeLimiter {self._path or 'of this process'}, {self._taken} of {self._sets * WAYS} keys>"


async def _open(path: Path) -> int:
    """The file, made if it is not there; held against being removed. Raises OSError."""
    for _ in range(_OPENINGS):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
            if os.fstat(descriptor).st_nlink:
                return descriptor
        except BlockingIOError:
            pass
        os.close(descriptor)  # the last one in it is just leaving, and removes it
        await asyncio.sleep(0.01)
    raise FileNotFoundError(ENOENT, "it vanishes again and again")
