"""Runs that take too long for the event loop: threads, with a bounded line of questions before them for each version.

A free thread takes from the lines in turn, and the last one is left to other models: what is slow holds up itself. A
question that waited or ran until its time was over is given up; its run is stopped at the graph's next node, for until
then the thread is not free.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from itertools import islice
from typing import Final, Literal

from edgeproxy.inference import batch
from edgeproxy.inference.session import RunError, Session, Stop
from edgeproxy.inference.version import Version
from edgeproxy.observe.metrics import Labels, Metrics
from edgeproxy.tensors import Tensors

Reason = Literal["full", "late", "failed", "closed"]

SIZES: Final = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)
SECONDS: Final = (1e-5, 2e-5, 3e-5, 5e-5, 1e-4, 3e-4, 1e-3, 3e-3, 0.01, 0.03, 0.05, 0.1, 0.3, 1.0, 3.0, 10.0, 60.0)
END_WITHIN: Final = 5.0  # seconds; a node of a graph that takes longer is left to end by itself
_LOOKED_AT: Final = 4  # times as many questions as a batch takes are looked through for such as fit together


class NoRunError(Exception):
    """This node has no answer: its line is ``full``, time was over (``late``), the run ``failed``, or it is ``closed``
    for work. The message of a failed run is the runtime's, for the log."""

    def __init__(self, reason: Reason, message: str = "") -> None:
        super().__init__(message or reason)
        self.reason = reason


class Runs:
    """Between ``start`` and ``stop``, on one event loop."""

    def __init__(self, workers: int, metrics: Metrics) -> None:
        self.workers = workers
        self._seconds = metrics.histogram(
            "edgeproxy_inference_seconds",
            "How long questions to models waited (line) and runs took (run).",
            ("model", "version", "part"),
            SECONDS,
        )
        self._sizes = metrics.histogram(
            "edgeproxy_inference_batch_size", "Questions put together into one run.", ("model",), SIZES
        )
        self._unread = metrics.gauge(
            "edgeproxy_inference_queue", "Questions waiting for a run.", ("model",), self._waiting
        )
        self._pool: ThreadPoolExecutor | None = None
        self._lines: OrderedDict[tuple[str, str], _Line] = OrderedDict()
        self._running: dict[_Run, asyncio.Future[_Done]] = {}

    def start(self) -> None:
        """Open for work."""
        self._pool = ThreadPoolExecutor(self.workers, "model")

    async def stop(self) -> None:
        """Nobody waits any longer, and what runs ends."""
        pool, self._pool = self._pool, None
        for line in self._lines.values():
            line.close()
        self._lines.clear()
        for run in self._running:
            run.end("closed")
        if self._running:
            await asyncio.wait(self._running.values(), timeout=END_WITHIN)
        if pool is not None:
            pool.shutdown(wait=False)
        self._unread()

    async def ask(self, version: Version, tensors: Tensors, within: float) -> Tensors:
        """The answer, within so many seconds. To cancel it takes it out of the line. Raises NoRunError."""
        loop = asyncio.get_running_loop()
        if self._pool is None:
            raise NoRunError("closed")
        key = version.manifest.name, version.number
        line = self._lines.get(key)
        if line is None:
            line = self._lines[key] = _Line(version)
        elif line.version is not version:
            line.use(version)
        if len(line.waiting) >= version.manifest.queue + max(0, self._most(line) - line.running):
            raise NoRunError("full")
        question = _Question(version, tensors, loop, within)
        line.waiting[question] = None
        self._dispatch()
        try:
            return await question.answer
        finally:
            line.waiting.pop(question, None)
            question.left()

    def forget(self, name: str) -> None:
        """Drop the lines of a model's versions where nobody stands in them."""
        for line in [each for each in self._lines.values() if each.key[0] == name]:
            if not line.waiting and not line.running:
                del self._lines[line.key]

    def observe(self, version: Version, seconds: float) -> None:
        """Note a run that was made elsewhere."""
        self._seconds.observe(seconds, version.manifest.name, version.number, "run")

    def _most(self, line: _Line) -> int:
        """Runs of one line at a time: as its manifest says, and one thread less than there are, if there are two."""
        return min(line.version.manifest.concurrency, max(1, self.workers - 1))

    def _dispatch(self) -> None:
        """Give free threads what is due, the line first whose turn was longest ago."""
        loop = asyncio.get_running_loop()
        while self._pool is not None and len(self._running) < self.workers:
            line = next((each for each in self._lines.values() if self._due(each, loop)), None)
            if line is None:
                return
            self._lines.move_to_end(line.key)
            run = _Run(line, line.take())
            line.running += 1
            future = loop.run_in_executor(self._pool, run.work)
            self._running[run] = future
            future.add_done_callback(partial(self._ended, run))

    def _due(self, line: _Line, loop: asyncio.AbstractEventLoop) -> bool:
        line.tidy()
        if not line.waiting or line.running >= self._most(line):
            return False
        due = line.due()
        if due <= loop.time():
            return True
        if line.timer is None:
            line.timer = loop.call_at(due, self._wake, line)
        return False

    def _wake(self, line: _Line) -> None:
        line.timer = None
        self._dispatch()

    def _ended(self, run: _Run, future: asyncio.Future[_Done]) -> None:
        line = run.line
        line.running -= 1
        del self._running[run]
        labels = line.key
        answers, seconds = future.result()
        self._seconds.observe(seconds, *labels, "run")
        if line.most > 1:
            self._sizes.observe(len(run.questions), labels[0])
        for question, answer in zip(run.questions, answers, strict=True):
            self._seconds.observe(run.began - question.since, *labels, "line")
            question.take(answer)
            question.run = None  # else they hold each other, and their tensors, until the next collection
        self._dispatch()

    def _waiting(self) -> Iterable[tuple[Labels, float]]:
        counts: dict[str, int] = {}
        for (name, _), line in self._lines.items():
            counts[name] = counts.get(name, 0) + len(line.waiting)
        return [((name,), count) for name, count in counts.items()]

    def __repr__(self) -> str:
        return f"<Runs {len(self._running)} of {self.workers} threads, {len(self._lines)} lines>"


_Done = tuple[list[Tensors | RunError], float]


class _Question:
    """One of a line, until it has an answer, its time is over, or nobody waits for it any more."""

    def __init__(self, version: Version, tensors: Tensors, loop: asyncio.AbstractEventLoop, within: float) -> None:
        self.version = version
        self.tensors = tensors
        self.since = loop.time()
        self.rows = batch.rows(tensors)
        self.shape: batch.Shape = batch.shape(tensors)
        self.answer: asyncio.Future[Tensors] = loop.create_future()
        self.run: _Run | None = None
        self._timer = loop.call_later(within, self.fail, "late")

    def take(self, answer: Tensors | RunError) -> None:
        if self.answer.done():
            return
        if isinstance(answer, RunError):
            self.answer.set_exception(NoRunError("failed", str(answer)))
        else:
            self.answer.set_result(answer)

    def fail(self, reason: Reason) -> None:
        if not self.answer.done():
            self.answer.set_exception(NoRunError(reason))

    def left(self) -> None:
        """Nobody waits for it any more."""
        self._timer.cancel()
        if self.run is not None:
            self.run.stop_if_unwanted()


class _Line:
    """Questions to one version: those waiting, in order, and how many runs there are."""

    def __init__(self, version: Version) -> None:
        self.key = version.manifest.name, version.number
        self.waiting: OrderedDict[_Question, None] = OrderedDict()
        self.running = 0
        self.timer: asyncio.TimerHandle | None = None
        self.use(version)

    def use(self, version: Version) -> None:
        """Go by this version's manifest from now on."""
        self.version = version
        batches = version.manifest.batch if batch.joinable(version.manifest) else None
        self.most = 1 if batches is None else batches.most
        self.wait = 0.0 if batches is None else batches.wait

    def tidy(self) -> None:
        """Take those from its head for whom nobody waits any more."""
        while self.waiting and (first := next(iter(self.waiting))).answer.done():
            del self.waiting[first]

    def due(self) -> float:
        """From when on the first is to run, in the loop's time: at once, or when others had time to join it."""
        if not self.wait:
            return 0.0
        rows = 0
        for question in self.waiting:
            rows += question.rows
            if rows >= self.most:
                return 0.0
        return next(iter(self.waiting)).since + self.wait

    def take(self) -> list[_Question]:
        """The first, and what can be joined to it."""
        first, _ = self.waiting.popitem(last=False)
        taken, rows = [first], first.rows
        if self.most > 1 and first.shape:
            for each in list(islice(self.waiting, _LOOKED_AT * self.most)):
                fits = each.version is first.version and each.shape == first.shape and not each.answer.done()
                if fits and rows + each.rows <= self.most:
                    taken.append(each)
                    rows += each.rows
                    del self.waiting[each]
        return taken

    def close(self) -> None:
        if self.timer is not None:
            self.timer.cancel()
        for question in self.waiting:
            question.fail("closed")


class _Run:
    """What one thread does: a question, or some joined."""

    def __init__(self, line: _Line, questions: Sequence[_Question]) -> None:
        self.line = line
        self.questions = questions
        self.began = asyncio.get_running_loop().time()
        self._stop = Stop()
        for question in questions:
            question.run = self

    def work(self) -> _Done:
        """In the thread: an answer for each question, and how many seconds all took."""
        start = time.perf_counter()
        session = self.questions[0].version.session
        answers = _answers(session, [each.tensors for each in self.questions], self._stop)
        return answers, time.perf_counter() - start

    def end(self, reason: Reason) -> None:
        for question in self.questions:
            question.fail(reason)
        self._stop.now()

    def stop_if_unwanted(self) -> None:
        """Stop it when nobody waits for any of its answers."""
        if all(question.answer.done() for question in self.questions):
            self._stop.now()


def _answers(session: Session, questions: Sequence[Tensors], stop: Stop) -> list[Tensors | RunError]:
    """Joined; if that fails, one by one, so that a question the model fails at spoils no other."""
    if len(questions) > 1:
        try:
            answer = session.run(batch.join(questions), stop)
            return list(batch.split(answer, [batch.rows(each) for each in questions]))
        except (RunError, MemoryError):
            pass
    answers: list[Tensors | RunError] = []
    for each in questions:
        try:
            answers.append(session.run(each, stop))
        except RunError as error:
            answers.append(error)
    return answers
