"""What one worker's requests have changed, told to the others before the client hears of it (RFC 9111 §4.4)."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, Final

from edgeproxy.cache.purge import Purge
from edgeproxy.supervisor.bus import BusError

logger = logging.getLogger("edgeproxy.supervisor")

MOST: Final = 1_000  # purges of one message
WITHIN: Final = 0.5  # seconds a client waits for it at most; the others hear of it all the same

Tell = Callable[[list[dict[str, Any]]], Awaitable[Any]]


class Spreading:
    """``tell`` has the supervisor tell the other workers. While one message is on its way, the next one gathers."""

    def __init__(self, tell: Tell) -> None:
        self._tell = tell
        self._gathered: dict[Purge, None] = {}
        self._next: asyncio.Future[None] | None = None
        self._telling: asyncio.Task[None] | None = None

    async def spread(self, purges: list[Purge]) -> None:
        """Have the others forget this; comes back when they have, or when it takes too long."""
        self._gathered |= dict.fromkeys(purges)
        loop = asyncio.get_running_loop()
        if self._next is None:
            self._next = loop.create_future()
        told = self._next
        if self._telling is None:
            self._telling = loop.create_task(self._tell_all())
        await asyncio.wait((told,), timeout=WITHIN)

    async def _tell_all(self) -> None:
        try:
            while (told := self._next) is not None:
                self._next = None
                gathered, self._gathered = list(self._gathered), {}
                try:
                    for first in range(0, len(gathered), MOST):
                        await self._tell([purge.to_json() for purge in gathered[first : first + MOST]])
                except BusError as error:
                    logger.warning("invalidation: the other workers were not told: %s", error)
                finally:
                    told.set_result(None)
        finally:
            self._telling = None

    def __repr__(self) -> str:
        return f"<Spreading {len(self._gathered)} gathered>"
