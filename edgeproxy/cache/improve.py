"""Better copies of what is kept, made in the background: the most asked for first, within a share of one core.

A stage says how a better copy is made (:mod:`edgeproxy.pipeline.improvement`). What is stored so is a candidate for as
long as L1 has it. One at a time gets its turn: the better body is made on a thread of the lowest priority and, if the
entry is still the one in L1, takes the place of the old one in all tiers. Where several workers share L2, one makes the
copy and the others find it there.
"""

from __future__ import annotations

import asyncio
import logging
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from edgeproxy.cache.background import Background
from edgeproxy.cache.entry import Entry
from edgeproxy.cache.marks import Ticket
from edgeproxy.http.conditional import is_strong
from edgeproxy.observe.metrics import Metrics
from edgeproxy.pipeline.improvement import Better, Improvement

if TYPE_CHECKING:
    from edgeproxy.cache.tiers import Tiers

logger = logging.getLogger("edgeproxy.cache")

LOOK_EVERY, SLOWEST = 1.0, 16.0  # seconds between looks at the candidates: while some are asked for, and at most
PREPARED_WITHIN = 300.0  # seconds; at the lowest priority a busy machine makes it wait
CLOSED_WITHIN = 3.0  # seconds that a worker which leaves waits for the copy in hand
PASSED_OVER = 16  # the oldest candidates, of which the one least asked for makes room
LOOKS = (0.0, 5.0, 30.0, 180.0, 1200.0)  # seconds between looks into L2 for what came from there and is asked for
LOOKED_UP = 32  # of those at a time
COMPLAIN_EVERY = 60.0  # seconds between log lines about one kind of failure
KINDS = 64  # of failure


class Settings(NamedTuple):
    """``share`` of one core that may be spent; at most ``candidates`` wait; one is improved after ``hits``, if its body
    has at most ``largest`` bytes. ``shared``: other workers have the same L2."""

    share: float = 0.1
    candidates: int = 1_000
    hits: int = 2
    largest: int = 1_000_000
    shared: bool = False


class Candidate:
    """How an entry is made better, and what its original came with: when it was asked for (wall time), L3's ticket."""

    __slots__ = ("began", "improvement", "ticket")

    def __init__(self, improvement: Improvement, began: float, ticket: Ticket | None) -> None:
        self.improvement = improvement
        self.began = began
        self.ticket = ticket


class Improver:
    """One a worker, on its loop. :meth:`forget` is L1's to call, whatever makes it drop an entry."""

    def __init__(self, tiers: Tiers, settings: Settings, metrics: Metrics) -> None:
        self._tiers = tiers
        self._settings = settings
        self._clock = tiers.clock
        self._candidates: dict[Entry, Candidate] = {}
        self._borrowed: dict[Entry, tuple[int, float]] = {}  # from L2: looks taken, and when the next one is due
        self._background = Background()
        self._timer: asyncio.TimerHandle | None = None
        self._task: asyncio.Task[None] | None = None
        self._pause = LOOK_EVERY
        self._rest_until = 0.0
        self._complained: dict[str, float] = {}
        self._outcomes = metrics.counter(
            "edgeproxy_improved_total", "Kept answers whose better copy was due, by what became of it.", ("outcome",)
        )
        self._saved = metrics.counter("edgeproxy_improved_bytes_total", "Bytes that better copies are smaller by.")
        self._spent = metrics.counter("edgeproxy_improving_seconds_total", "Seconds that better copies took.")
        self._hide = metrics.gauge(
            "edgeproxy_improvements_waiting",
            "Kept answers that a better copy may be made of.",
            (),
            lambda: [((), len(self._candidates))],
        )

    def use(self, settings: Settings) -> None:
        """Have other settings from now on."""
        self._settings = settings
        while len(self._candidates) > settings.candidates:
            self._pass_over()
        if not settings.shared:
            self._borrowed.clear()

    # What the tiers tell.

    def offer(self, entry: Entry, improvement: Improvement, began: float, ticket: Ticket | None) -> None:
        """A whole entry that came from the origin, and how it is made better."""
        if not self._fits(entry):
            return
        self._candidates[entry] = Candidate(improvement, began, ticket)
        if len(self._candidates) > self._settings.candidates:
            self._pass_over()
        self._wake()

    def renewed(self, entry: Entry, began: float, ticket: Ticket | None) -> None:
        """A stored entry was asked about at this wall time, and still holds."""
        candidate = self._candidates.get(entry)
        if candidate is not None:
            candidate.began = began
            candidate.ticket = ticket or candidate.ticket

    def borrow(self, entry: Entry) -> None:
        """An entry that came from L2, where another worker may put a better copy."""
        if not self._settings.shared or not self._fits(entry):
            return
        self._borrowed[entry] = (0, 0.0)
        while len(self._borrowed) > self._settings.candidates:
            del self._borrowed[next(iter(self._borrowed))]
        self._wake()

    def forget(self, entry: Entry) -> None:
        """L1 has dropped it."""
        self._candidates.pop(entry, None)
        self._borrowed.pop(entry, None)

    def _fits(self, entry: Entry) -> bool:
        body = entry.body
        return body is not None and 0 < len(body) <= self._settings.largest and self._tiers.memory.holds(entry)

    def _pass_over(self) -> None:
        least = min(islice(self._candidates, PASSED_OVER), key=lambda entry: entry.hits)
        del self._candidates[least]
        self._outcomes.inc("no_room")

    # Whose turn it is.

    def _wake(self) -> None:
        """There is something new to look at."""
        if self._task is None and (self._timer is None or self._pause > LOOK_EVERY):
            self._pause = LOOK_EVERY
            self._wait()

    def _wait(self) -> None:
        self._stop_waiting()
        if self._candidates or self._borrowed:
            wait = max(self._pause, self._rest_until - self._clock.monotonic())
            self._timer = asyncio.get_running_loop().call_later(wait, self.look)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def look(self) -> None:
        """Adopt what others have made; give the candidate most asked for its turn, or wait on."""
        if self._task is not None:
            return
        found = self._look_up()
        entry = self._hottest() if self._clock.monotonic() >= self._rest_until else None
        if entry is not None:
            self._stop_waiting()
            self._task = asyncio.get_running_loop().create_task(self._turn(entry, self._candidates[entry]))
            return
        self._pause = LOOK_EVERY if found else min(2 * self._pause, SLOWEST)
        self._wait()

    def _hottest(self) -> Entry | None:
        hottest, most = None, self._settings.hits - 1
        now = self._clock.wall()
        for entry in self._candidates:
            if entry.hits > most and now < entry.fresh_until:
                hottest, most = entry, entry.hits
        return hottest

    async def _turn(self, entry: Entry, candidate: Candidate) -> None:
        try:
            outcome = await self._improve(entry, candidate)
        except Exception as error:  # noqa: BLE001 -- the rim: whatever a stage's code raises ends this attempt alone
            outcome = self._complain(candidate, error)
        self._candidates.pop(entry, None)
        self._outcomes.inc(outcome)
        self._pause, self._task = LOOK_EVERY, None
        if self._clock.monotonic() < self._rest_until:
            self._wait()
        else:
            self.look()

    async def _improve(self, entry: Entry, candidate: Candidate) -> str:
        """One attempt; returns what became of it."""
        body = entry.body
        if body is None:
            return "gone"
        if self._settings.shared and self._adopt(entry):
            return "adopted"
        begun = self._clock.monotonic()
        async with asyncio.timeout(PREPARED_WITHIN):
            better = await candidate.improvement.prepare(body, entry.told.copy())
        if isinstance(better, Better):
            self._rest(self._clock.monotonic() - begun)  # what another process spent, nobody knows here
        elif better is not None:
            if not self._still(entry, candidate, body):
                return "gone"
            done = await self._background.run(better)
            self._rest(done.seconds)
            if done.error is not None:
                return self._complain(candidate, done.error)
            better = done.value
        if better is None:
            return "as_good"
        if not self._still(entry, candidate, body):
            return "gone"
        self._replace(entry, candidate, better)
        return "better"

    def _rest(self, spent: float) -> None:
        """Begin nothing more until what was spent is within the share."""
        self._spent.inc(by=spent)
        self._rest_until = self._clock.monotonic() + spent * (1 / self._settings.share - 1)

    def _still(self, entry: Entry, candidate: Candidate, body: bytes) -> bool:
        """Whether it is still the one in L1, with the body it had."""
        return self._candidates.get(entry) is candidate and entry.body is body

    def _replace(self, entry: Entry, candidate: Candidate, better: Better) -> None:
        """Put a better body into an entry's place, in L1 at once. What was purged softly stays so, in L1 alone."""
        headers = {name: value for name, value in (entry.told | better.headers).items() if value}
        etag = headers.get(b"etag")
        if etag is not None and etag == entry.etag and is_strong(etag):
            headers[b"etag"] = b"W/" + etag  # RFC 9110 §8.8.1: a strong one names other bytes already
        self._saved.inc(by=max(0, len(entry.body or b"") - len(better.body)))
        self._tiers.memory.grow(entry, entry.improve(better.body, headers))
        self._tiers.improved(entry, candidate.began, candidate.ticket)

    # What other workers have made.

    def _look_up(self) -> bool:
        """Look into L2 for those that came from there and are asked for; whether any are due again."""
        now, wall = self._clock.monotonic(), self._clock.wall()
        hot = [
            entry
            for entry, (_, due) in self._borrowed.items()
            if now >= due and entry.hits >= self._settings.hits and wall < entry.fresh_until
        ]
        for entry in hot[:LOOKED_UP]:
            looks = self._borrowed[entry][0] + 1
            if self._adopt(entry):
                self._outcomes.inc("adopted")
            elif looks == len(LOOKS):
                del self._borrowed[entry]
            else:
                self._borrowed[entry] = (looks, now + LOOKS[looks])
        return bool(hot)

    def _adopt(self, entry: Entry) -> bool:
        """Put what another worker has made of it into its place, if there is something."""
        found = None if self._tiers.disk is None else self._tiers.disk.smaller(entry)
        if found is None or found.fresh_until <= self._clock.wall():
            return False
        found.hits = entry.hits
        return self._tiers.memory.put(found)

    def _complain(self, candidate: Candidate, error: BaseException) -> str:
        """Say once a while, for each kind, that something cannot be made; returns the outcome."""
        kind = f"{type(candidate.improvement).__qualname__}: {type(error).__name__}"  # its text may have a URL in it
        now = self._clock.monotonic()
        known = kind in self._complained or len(self._complained) < KINDS
        if known and now >= self._complained.get(kind, 0.0):
            self._complained[kind] = now + COMPLAIN_EVERY
            logger.warning("no better copy could be made of a kept answer, which is served on as it is (%s)", kind)
        return "failed"

    async def close(self) -> None:
        """Leave what is kept as it is; waits a moment for the copy in hand, which nobody gets."""
        self._hide()
        self._stop_waiting()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._candidates.clear()
        self._borrowed.clear()
        if not await self._background.close(CLOSED_WITHIN):
            logger.info("a better copy of a kept answer was being made, and is left")

    def __repr__(self) -> str:
        state = "working" if self._task is not None else "waiting" if self._timer is not None else "idle"
        return f"<Improver {state}, {len(self._candidates)} candidates, {len(self._borrowed)} borrowed>"
