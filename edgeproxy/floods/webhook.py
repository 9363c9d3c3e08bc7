"""Tells a service of every change: a POST of JSON, tried a few times, and never in anybody's way."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    import aiohttp

logger = logging.getLogger("edgeproxy.floods")

QUEUE: Final = 64  # changes that wait; more are dropped, and that is said
TIMEOUT: Final = 5.0  # seconds for one try
PAUSES: Final = (1.0, 4.0, 16.0)  # seconds before another one


class Webhook:
    """``http`` gives the session; ``headers`` go along and may hold a secret, so they are in no message of ours."""

    def __init__(
        self,
        url: str,
        headers: Mapping[str, str],
        http: Callable[[], aiohttp.ClientSession],
        pauses: tuple[float, ...] = PAUSES,
    ) -> None:
        self._url = url
        self._headers = dict(headers)
        self._http = http
        self._pauses = pauses
        self._queue: deque[Mapping[str, Any]] = deque()
        self._task: asyncio.Task[None] | None = None

    def send(self, event: Mapping[str, Any]) -> None:
        """Have an event delivered, after those before it. Needs a running loop."""
        if len(self._queue) >= QUEUE:
            logger.warning("flood: the webhook is behind; a change of %s is not told", event.get("scope"))
            return
        self._queue.append(event)
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._deliver())

    async def stop(self, patience: float = 1.0) -> None:
        """Let what is under way end, for so many seconds."""
        if self._task is not None:
            await asyncio.wait((self._task,), timeout=patience)
            self._task.cancel()
            self._task = None

    async def _deliver(self) -> None:
        while self._queue:
            event = self._queue.popleft()
            problem = await self._try(event)
            for pause in self._pauses:
                if not problem:
                    break
                await asyncio.sleep(pause)
                problem = await self._try(event)
            if problem:
                logger.warning("flood: the webhook did not take a change of %s: %s", event.get("scope"), problem)

    async def _try(self, event: Mapping[str, Any]) -> str:
        """Why it was not taken, "" if it was."""
        import aiohttp

        try:
            async with self._http().post(
                self._url,
                json=event,
                headers=self._headers,
                timeout=aiohttp.ClientTimeout(total=TIMEOUT),
                allow_redirects=False,  # the secret is for this address alone
            ) as response:
                return "" if 200 <= response.status < 300 else f"status {response.status}"
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            return type(error).__name__  # its text may hold what was sent

    def __repr__(self) -> str:
        return f"<Webhook {len(self._queue)} waiting>"
