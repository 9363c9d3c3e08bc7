"""Memory that the C library's allocator holds back is given back to the system, and L1's limit is kept in what counts.

A cache turns over bodies of all sizes. glibc answers by keeping what was freed, in holes between what is still in use,
and by taking ever larger blocks from the heap instead of mapping them (mallopt(3), M_MMAP_THRESHOLD): measured, a
worker with a limit of 256 MB grew by 350 MB. So large blocks are mapped, holes are given back twice a second, and what
is resident beyond the limit all the same (holes that are too new, bodies on their way) is taken off L1. Another C
library, without these functions, has only the last of that.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

from edgeproxy.cache.memory import Memory

MAPPED_FROM = 512 * 1024  # bytes; smaller ones are read buffers too, which would fault their pages in anew each time
TOP_PAD = 4 * 1024 * 1024  # bytes at the heap's end that are kept for what comes next
EVERY = 0.5  # seconds between two looks
SLACK = 2 * 1024 * 1024  # bytes of growth that are not worth a look at the holes
STEP = 0.25  # of what is too much is taken off at one look: it comes and goes
MOST_TAKEN = 0.15  # of L1's limit; what a flood of connections needs is not to empty the cache

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


class Heap:
    """This process's heap; ``resident`` tells the bytes the process has in memory."""

    def __init__(self, resident: Callable[[], int]) -> None:
        library = ctypes.CDLL(None)
        self._option = getattr(library, "mallopt", None)
        self._trim = getattr(library, "malloc_trim", None)
        self._resident = resident
        self._floor = 0
        self._empty = 0
        self._limit = 0
        self._taken = 0.0
        self._memory: Memory | None = None

    def settle(self) -> None:
        """Map large blocks from now on."""
        if self._option is not None:
            self._option(_M_MMAP_THRESHOLD, MAPPED_FROM)
            self._option(_M_TRIM_THRESHOLD, TOP_PAD)

    def hold(self, memory: Memory, limit: int) -> None:
        """Keep L1 and what it costs within ``limit`` bytes over what the process had at the first call, when L1 was
        empty."""
        if self._memory is None:
            self._empty = self._resident()
        self._memory, self._limit = memory, limit
        memory.limit = limit - int(min(self._taken, limit * MOST_TAKEN))

    async def keep(self) -> None:
        """Tend it for ever. On the loop: it takes microseconds as a rule, 7 ms at the worst measured, and whoever
        allocates meanwhile would wait for it in any case."""
        while True:
            await asyncio.sleep(EVERY)
            self.tend()

    def tend(self) -> bool:
        """Give holes back if the process has grown since the last time; whether that was done."""
        resident = self._resident()
        self._fit(resident)
        if self._trim is None or resident < self._floor + SLACK:
            self._floor = min(self._floor, resident)
            return False
        self._trim(ctypes.c_size_t(0))
        self._floor = self._resident()
        return True

    def _fit(self, resident: int) -> None:
        if self._memory is None:
            return
        over = resident - self._empty - self._limit
        self._taken = min(max(0.0, self._taken + over * STEP), self._limit * MOST_TAKEN)
        self._memory.limit = self._limit - int(self._taken)

    def __repr__(self) -> str:
        return f"<Heap {self._floor} B resident, {self._taken:.0f} B taken off L1>"
