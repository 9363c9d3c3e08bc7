"""Memory that the C library's allocator holds back, given back to the system.

A cache turns over bodies of all sizes. glibc answers by keeping what was freed, in holes between what is still in use,
and by taking ever larger blocks from the heap instead of mapping them (mallopt(3), M_MMAP_THRESHOLD): measured, a
worker that holds 256 MB of answers grew to 350 MB. So large blocks are mapped, always, and holes are given back.
Another C library, without these functions, is left alone.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable

MAPPED_FROM = 512 * 1024  # bytes; smaller ones are read buffers too, which would fault their pages in anew each time
TOP_PAD = 4 * 1024 * 1024  # bytes at the heap's end that are kept for what comes next
EVERY = 1.0  # seconds between two looks
SLACK = 4 * 1024 * 1024  # bytes of growth that are not worth a look at the holes

_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD = -1, -3  # malloc.h


class Heap:
    """This process's heap; ``resident`` tells the bytes the process has in memory."""

    def __init__(self, resident: Callable[[], int]) -> None:
        library = ctypes.CDLL(None)
        self._option = getattr(library, "mallopt", None)
        self._trim = getattr(library, "malloc_trim", None)
        self._resident = resident
        self._floor = 0

    def settle(self) -> None:
        """Map large blocks from now on."""
        if self._option is not None:
            self._option(_M_MMAP_THRESHOLD, MAPPED_FROM)
            self._option(_M_TRIM_THRESHOLD, TOP_PAD)

    async def keep(self) -> None:
        """Tend it for ever. On the loop: it takes microseconds as a rule, 7 ms at the worst measured, and whoever
        allocates meanwhile would wait for it in any case."""
        while True:
            await asyncio.sleep(EVERY)
            self.tend()

    def tend(self) -> bool:
        """Give holes back if the process has grown since the last time; whether that was done."""
        resident = self._resident()
        if self._trim is None or resident < self._floor + SLACK:
            self._floor = min(self._floor, resident)
            return False
        self._trim(ctypes.c_size_t(0))
        self._floor = self._resident()
        return True
