"""Purges: what this node is asked to forget, by an operator or by another node, goes to every worker; what an operator
asks goes to the other nodes too."""

from __future__ import annotations

import asyncio
import importlib
import logging
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from edgeproxy.cache.purge import Purge, from_json
from edgeproxy.cache.region import Region
from edgeproxy.clock import Clock
from edgeproxy.config.schema import CacheConfig
from edgeproxy.observe.metrics import Metrics
from edgeproxy.supervisor.process import WorkerProcess

logger = logging.getLogger("edgeproxy.supervisor")

Ask = Callable[..., Awaitable[list[tuple[WorkerProcess, Any]]]]


class Purging:
    """``ask`` asks all workers for something, by name and with arguments."""

    def __init__(self, ask: Ask, metrics: Metrics) -> None:
        self._ask = ask
        self._metrics = metrics
        self._region: Region | None = None

    async def join(self, config: CacheConfig | None) -> None:
        """Share purges with the nodes on the configured Redis, or with none."""
        settings = None if config is None or config.redis is None else config.redis.settings()
        folder = None if config is None or config.disk is None else Path(config.disk.path)
        region = self._region
        if region is not None and (region.settings, region.folder) != (settings, folder):
            self._region = None
            await region.close()
        if settings is not None and self._region is None:
            await asyncio.to_thread(importlib.import_module, "redis.asyncio")  # it takes its time
            self._region = Region(settings, self._heard, Clock(), self._metrics, folder)
            self._region.start()

    async def purge(self, purges: list[Purge]) -> tuple[int, list[str]]:
        """Entries of all workers that these were about, and what went wrong."""
        (count, here), elsewhere = await asyncio.gather(self._here(purges), self._elsewhere(purges))
        return count, here + elsewhere

    async def changed(self, worker: WorkerProcess, purges: list[dict[str, Any]]) -> None:
        """What requests to one worker have changed, which has forgotten it, is to be forgotten by all."""
        for other, answer in await self._ask("purge", but=worker, purges=purges, wait=False):
            if isinstance(answer, BaseException):
                logger.error("invalidation: worker %d: %s", other.pid, answer)

    async def _here(self, purges: list[Purge], *, wait: bool = True) -> tuple[int, list[str]]:
        count, errors = 0, []
        for worker, answer in await self._ask("purge", purges=[purge.to_json() for purge in purges], wait=wait):
            if isinstance(answer, BaseException):
                errors.append(f"worker {worker.pid}: {answer}")
            else:
                count += answer
        return count, errors

    async def _elsewhere(self, purges: list[Purge]) -> list[str]:
        """In Redis and on other nodes, which are told of keys as this node's routes spell them."""
        if self._region is None:
            return []
        messages = [purge.to_json() for purge in purges]
        spelled = [answer for _, answer in await self._ask("spellings", purges=messages) if isinstance(answer, list)]
        at = purges[0].at
        return await self._region.tell([from_json(message, at) for message in (spelled or [messages])[0]])

    async def _heard(self, purges: list[Purge]) -> None:
        _, errors = await self._here(purges, wait=False)  # the next ones are waiting
        for error in errors:
            logger.error("purge of another node: %s", error)

    def __repr__(self) -> str:
        return f"<Purging {self._region!r}>"
