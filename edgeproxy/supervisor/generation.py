"""The workers of one set of listeners: N slots, each of which starts its worker again when it dies."""

from __future__ import annotations

import asyncio
import logging
import socket
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from edgeproxy.observe.metrics import Metrics
from edgeproxy.supervisor.backoff import Backoff
from edgeproxy.supervisor.bus import BusError, RefusedError
from edgeproxy.supervisor.process import Changed, WorkerProcess, ending
from edgeproxy.supervisor.totals import Totals

logger = logging.getLogger("edgeproxy.supervisor")

RELOAD_WITHIN = 30.0
LAST_SECONDS = 2.0  # for a drained worker to exit, before it is killed


class Generation:
    """``text`` is the configuration that workers started from now on are given; ``path`` names it in their errors;
    ``sockets`` are each worker's, by address; ``folder`` is what they share; ``changed`` hears what their requests
    have changed.
    """

    def __init__(
        self,
        text: str,
        path: str,
        sockets: Sequence[Mapping[str, socket.socket]],
        folder: Path,
        totals: Totals,
        metrics: Metrics,
        changed: Changed,
    ) -> None:
        self.text = text
        self.path = path
        self.size = len(sockets)
        self._leave = asyncio.Event()
        self._sockets = sockets
        self._folder = folder
        self._totals = totals
        self._changed = changed
        self._restarts = metrics.counter("edgeproxy_worker_restarts_total", "Workers started in a dead one's place.")
        self._workers: dict[int, WorkerProcess] = {}
        self._slots: list[asyncio.Task[None]] = []
        self._drains: set[asyncio.Task[None]] = set()

    @property
    def workers(self) -> list[WorkerProcess]:
        """Those that are alive, also while they start or leave."""
        return list(self._workers.values())

    @property
    def ready(self) -> int:
        return sum(worker.ready for worker in self._workers.values())

    async def start(self) -> None:
        """Start every worker, and keep slots filled from then on. Raises BusError with the reason of the first worker
        that could not start; then none is left."""
        loop = asyncio.get_running_loop()
        first = [loop.create_future() for _ in range(self.size)]
        self._slots = [loop.create_task(self._keep(number, first[number])) for number in range(self.size)]
        try:
            await asyncio.gather(*first)
        except BaseException:
            await self.kill()
            raise

    async def ask(
        self, what: str, within: float = 5.0, but: WorkerProcess | None = None, **arguments: Any
    ) -> list[tuple[WorkerProcess, Any]]:
        """Each live worker, ``but`` one, with what it answered, or the BusError."""
        workers = [worker for worker in self.workers if worker is not but]
        answers = await asyncio.gather(
            *(worker.bus.ask(what, within, **arguments) for worker in workers), return_exceptions=True
        )
        return list(zip(workers, answers, strict=True))

    async def reload(self, text: str, grace: float) -> None:
        """Have all workers swap to another configuration: one first, and if that refuses, nothing has changed and its
        RefusedError is raised. Workers that fail otherwise are drained, and their successors start with it."""
        workers = self.workers
        while workers:
            worker = workers.pop()
            try:
                await worker.bus.ask("reload", RELOAD_WITHIN, text=text, path=self.path)
                break
            except RefusedError:
                raise
            except BusError as error:
                self._replace(worker, grace, error)
        self.text = text
        answers = await asyncio.gather(
            *(worker.bus.ask("reload", RELOAD_WITHIN, text=text, path=self.path) for worker in workers),
            return_exceptions=True,
        )
        for worker, answer in zip(workers, answers, strict=True):
            if isinstance(answer, BaseException):
                self._replace(worker, grace, answer)

    async def drain(self, grace: float, delay: float) -> None:
        """End all workers, each when its exchanges have ended."""
        self._leave.set()
        await asyncio.gather(*(self._drain(worker, grace, delay) for worker in self.workers))
        await self.kill()

    async def kill(self) -> None:
        """End all workers at once."""
        self._leave.set()
        for worker in self.workers:
            worker.kill()
        if self._slots:
            await asyncio.wait(self._slots)

    async def _keep(self, number: int, first: asyncio.Future[None]) -> None:
        """One slot's life. ``first`` is told how the first start went."""
        backoff = Backoff()
        while True:
            born = time.monotonic()
            ended = await self._live(number, first)
            if self._leave.is_set():
                return
            wait = backoff.after(time.monotonic() - born)
            logger.error("worker ended: %s; another one starts%s", ended, f" in {wait:g}s" if wait else "")
            try:
                async with asyncio.timeout(wait):
                    await self._leave.wait()
            except TimeoutError:
                self._restarts.inc()
            else:
                return

    async def _live(self, number: int, first: asyncio.Future[None]) -> str:
        """One worker's life; returns how it ended."""
        sockets = self._sockets[number]
        try:
            worker = self._workers[number] = await WorkerProcess.spawn(sockets, self._folder, self._changed)
        except OSError as error:
            _settle(first, BusError(f"no process could be started: {error}"))
            return str(error)
        self._totals.born(worker.pid)
        try:
            if self._leave.is_set():
                raise BusError("the generation is leaving")
            await worker.start(self.text, self.path, sockets)
            _settle(first, None)
            return ending(await worker.wait())
        except BusError as error:
            _settle(first, error)
            return f"it did not start: {error}"
        finally:
            worker.kill()
            await worker.wait()
            self._totals.gone(worker.pid)
            del self._workers[number]

    def _replace(self, worker: WorkerProcess, grace: float, why: BaseException) -> None:
        logger.error("worker %d does not reload and is replaced: %s", worker.pid, why)
        drain = asyncio.get_running_loop().create_task(self._drain(worker, grace, 0.0))
        self._drains.add(drain)
        drain.add_done_callback(self._drains.discard)

    async def _drain(self, worker: WorkerProcess, grace: float, delay: float) -> None:
        try:
            self._totals.seen(worker.pid, await worker.drain(grace, delay))
            async with asyncio.timeout(LAST_SECONDS):
                await worker.wait()
        except (BusError, TimeoutError) as error:
            logger.warning("worker %d did not drain: %s", worker.pid, error or "it does not exit")
            worker.kill()

    def __repr__(self) -> str:
        return f"<Generation {self.workers!r}{' leaving' if self._leave.is_set() else ''}>"


def _settle(first: asyncio.Future[None], failure: BusError | None) -> None:
    if first.done():
        return
    if failure is None:
        first.set_result(None)
    else:
        first.set_exception(failure)
