"""Where pictures are made: a few processes, each with a job at a time, and a bounded line of those who wait.

Two crews, so that what is made in the background never stands before somebody who waits: the foreground's, and one
process of the lowest priority, which gets the CPU time nobody else wants. A process is started when there is work, and
ended when there was none for a while, after many jobs, and at once when a job takes too long.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable
from typing import Final

from edgeproxy.images.painter import Answer, Painter
from edgeproxy.images.plan import Bounds, Craft, ImageError, Picture, Plan
from edgeproxy.observe.metrics import Histogram, Labels, Metrics

logger = logging.getLogger("edgeproxy.images")

JOBS: Final = 1_000  # of one process, before a fresh one takes its place
IDLE: Final = 30.0  # seconds without work after which a process ends
PAUSE: Final = 5.0  # seconds nobody tries again after a process could not be started
PATIENCE: Final = 12  # how much longer work of the lowest priority may take by the clock; its CPU time is bounded alike
_LOWEST: Final = 19


class Studio:
    """``make`` is all there is to it; between ``start`` and ``stop``, on one event loop."""

    def __init__(
        self,
        processes: int,
        queue: int,
        bounds: Bounds,
        metrics: Metrics,
        craft: Craft = Craft(),  # noqa: B008 -- a value
        *,
        idle: float = IDLE,
        jobs: int = JOBS,
    ) -> None:
        """``queue``: how many may wait, in the foreground and in the background each, beside those being made."""
        self.bounds = bounds
        self.craft = craft
        self.idle = idle
        self.jobs = jobs
        self._seconds = metrics.histogram(
            "edgeproxy_image_seconds", "CPU time it took to make a variant of a picture.", ("format",)
        )
        metrics.gauge("edgeproxy_image_jobs", "Variants of pictures being made or waited for.", ("state",), self._read)
        self._foreground = _Crew(self, processes, queue, 0, bounds.seconds, self._seconds)
        self._background = _Crew(self, 1, queue, _LOWEST, PATIENCE * bounds.seconds, self._seconds)

    async def start(self) -> None:
        """Open for work. Processes are started when there is some."""
        self._foreground.open = self._background.open = True

    async def stop(self) -> None:
        """End all processes; who waits is told ``failed``."""
        await asyncio.gather(self._foreground.close(), self._background.close())

    async def make(self, source: bytes, plan: Plan, *, background: bool = False) -> Picture:
        """The variant. Raises ImageError: what the engine raises, and ``queue``, ``time``, ``failed``.

        To cancel it takes it out of the line; what is being made already is made, and thrown away.
        """
        return await (self._background if background else self._foreground).make(source, plan)

    def _read(self) -> Iterable[tuple[Labels, float]]:
        crews = self._foreground, self._background
        running = sum(crew.running for crew in crews)
        return [
            (("making",), running),
            (("waiting",), sum(crew.outstanding for crew in crews) - running),
        ]

    def __repr__(self) -> str:
        return f"<Studio {self._foreground!r} {self._background!r}>"


class _Job:
    __slots__ = ("done", "plan", "since", "source")

    def __init__(self, source: bytes, plan: Plan, loop: asyncio.AbstractEventLoop) -> None:
        self.source = source
        self.plan = plan
        self.since = loop.time()
        self.done: asyncio.Future[Picture] = loop.create_future()

    def fail(self, reason: str) -> None:
        if not self.done.done():
            self.done.set_exception(ImageError(reason))


class _Crew:
    """Processes of one priority, each looked after by a task, and the line before them."""

    def __init__(
        self, studio: Studio, processes: int, queue: int, niceness: int, within: float, seconds: Histogram
    ) -> None:
        """``within``: how many seconds a job may wait, and how many it may take then."""
        self.open = False
        self.running = 0
        self._studio = studio
        self._processes = processes
        self._most = processes + queue
        self._niceness = niceness
        self._within = within
        self._seconds = seconds
        self._waiting: deque[_Job] = deque()
        self._keepers: set[asyncio.Task[None]] = set()
        self._resting: list[asyncio.Future[None]] = []  # a keeper without work each; the one who rested last goes first
        self._broken_until = 0.0

    @property
    def outstanding(self) -> int:
        """Those waiting and those being made."""
        return len(self._waiting) + self.running

    async def make(self, source: bytes, plan: Plan) -> Picture:
        loop = asyncio.get_running_loop()
        if not self.open or loop.time() < self._broken_until:
            raise ImageError("failed")
        if self.outstanding >= self._most:
            raise ImageError("queue")
        job = _Job(source, plan, loop)
        self._waiting.append(job)
        self._call(loop)
        try:
            return await job.done
        finally:
            if job in self._waiting:  # cancelled
                self._waiting.remove(job)

    def _call(self, loop: asyncio.AbstractEventLoop) -> None:
        """Have somebody look at the line."""
        while self._resting:
            rest = self._resting.pop()
            if not rest.done():
                rest.set_result(None)
                return
        if len(self._keepers) < self._processes:
            keeper = loop.create_task(self._keep())
            self._keepers.add(keeper)
            keeper.add_done_callback(self._gone)

    def _gone(self, keeper: asyncio.Task[None]) -> None:
        """A keeper has ended, with its process; who came in the meantime gets another one."""
        self._keepers.discard(keeper)
        if self._waiting:
            self._call(keeper.get_loop())

    async def _keep(self) -> None:
        """Look after one process for as long as there is work for it."""
        painter: Painter | None = None
        try:
            while (job := await self._next()) is not None:
                self.running += 1
                try:
                    painter = await self._do(job, painter)
                finally:
                    self.running -= 1
                    job.fail("failed")
        finally:
            if painter is not None:
                await painter.end()

    async def _next(self) -> _Job | None:
        """The next in the line; None when there was none for a while."""
        loop = asyncio.get_running_loop()
        while True:
            while self._waiting:
                job = self._waiting.popleft()
                if loop.time() - job.since < self._within:
                    return job
                job.fail("queue")
            rest: asyncio.Future[None] = loop.create_future()
            self._resting.append(rest)
            await asyncio.wait((rest,), timeout=self._studio.idle)
            if not rest.done():
                self._resting.remove(rest)
                return None

    async def _do(self, job: _Job, painter: Painter | None) -> Painter | None:
        """Do a job, with this process if it is still good for it; gives the one that is good for the next."""
        studio = self._studio
        if painter is not None and (not painter.runs or painter.jobs >= studio.jobs):
            await painter.end()
            painter = None
        if painter is None:
            painter = await self._started(job)
            if painter is None:
                return None
        try:
            answer = await painter.ask(job.source, job.plan, studio.bounds, studio.craft, self._within)
        except BaseException as error:
            job.fail("time" if isinstance(error, TimeoutError) else "failed")
            await painter.end()
            if not isinstance(error, (OSError, EOFError, ValueError)):
                raise
            return None
        self._tell(job, answer)
        return painter

    def _tell(self, job: _Job, answer: Answer) -> None:
        if answer.picture is None:
            job.fail(answer.reason)
            return
        self._seconds.observe(answer.cpu, answer.picture.content_type.decode().rpartition("/")[2])
        if not job.done.done():
            job.done.set_result(answer.picture)

    async def _started(self, job: _Job) -> Painter | None:
        try:
            return await Painter.start(self._studio.bounds.memory, self._niceness, self._studio.craft.engine)
        except (OSError, EOFError) as error:
            loop = asyncio.get_running_loop()
            if loop.time() >= self._broken_until:
                logger.error("no process for pictures could be started: %s", error or "it ended at once")
            self._broken_until = loop.time() + PAUSE
            job.fail("failed")
            return None

    async def close(self) -> None:
        self.open = False
        for job in self._waiting:
            job.fail("failed")
        self._waiting.clear()
        for keeper in list(self._keepers):
            keeper.cancel()
        await asyncio.gather(*self._keepers, return_exceptions=True)

    def __repr__(self) -> str:
        return f"<_Crew {len(self._keepers)} of {self._processes} processes, {len(self._waiting)} waiting>"
