"""The watch: twice a second what was counted goes to the board, one worker judges, and all go by its verdict."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, Final

from edgeproxy.floods.board import Board
from edgeproxy.floods.gate import Gate, Tally
from edgeproxy.floods.judge import NODE, SIGNALS, Change, Counts, Judge, Settings
from edgeproxy.floods.state import ATTACK, NORMAL, STATES
from edgeproxy.floods.worst import Worst
from edgeproxy.observe.metrics import Metrics

logger = logging.getLogger("edgeproxy.floods")

TICK: Final = 0.5  # seconds
PUBLISHED: Final = 10  # ticks after which the baselines are shown again, for whoever must take over
LOOK: Final = 60.0  # seconds in which a client is looked up once

_NOTHING: Final = Counts()


class Watch:
    """``announce`` is told of every change, by the one worker that judges. ``key`` names the board of those who share
    these settings."""

    def __init__(
        self,
        gate: Gate,
        worst: Worst,
        settings: Settings,
        metrics: Metrics,
        now: Callable[[], float],
        announce: Callable[[Change], None],
    ) -> None:
        self._gate = gate
        self._worst = worst
        self._settings = settings
        self._now = now
        self._announce = announce
        self._judge = Judge(settings)
        self._board: Board | None = None
        self._verdict: dict[str, Any] | None = None  # what another worker judged last
        self._levels: dict[str, int] = {}
        self._told: dict[str, Counts] = {}  # what the board has of this process's tallies
        self._sums: dict[str, Counts] | None = None  # what the board had at the last judgement
        self._ticks = 0
        self._last = self._looked = now()
        self._timer: asyncio.TimerHandle | None = None
        self._transitions = metrics.counter(
            "edgeproxy_flood_transitions_total", "Changes of a flood's state.", ("scope", "state")
        )
        metrics.gauge(
            "edgeproxy_flood_state",
            "0 normal, 1 elevated, 2 attack: of the node, its routes, and countries that are not normal.",
            ("scope",),
            self._states,
            merge="max",
        )

    def start(self, folder: Path | None, key: str) -> None:
        """Begin to watch, together with all that share the folder and the key; needs a running loop."""
        self.open(folder, key)
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)

    def open(self, folder: Path | None, key: str) -> None:
        """Take a line of the board. Where there is none to be had, this worker watches by itself, and says so."""
        try:
            self._board = Board(folder, key)
        except OSError as error:
            logger.warning("flood: this worker counts by itself: %s", error)
            self._board = Board()

    def stop(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._board is not None:
            self._tell(self._board)
            self._board.close()
            self._board = None
        self._levels = {}  # another watch tells the state now

    def _tick(self) -> None:
        self._timer = asyncio.get_running_loop().call_later(TICK, self._tick)
        self.tick()

    def tick(self) -> None:
        """Tell what was counted, judge or learn what was judged, and go by it."""
        board, now = self._board, self._now()
        if board is None or now <= self._last:
            return
        seconds, self._last = now - self._last, now
        self._tell(board)
        surge = self._gate.surge
        if board.judges():
            surge = self._judge_all(board, seconds, now, surge)
        elif (verdict := board.verdict()) is not None:
            self._verdict = verdict
            self._levels = verdict["levels"]
            surge = float(verdict["surge"])
        self._apply(surge, now)

    def _tell(self, board: Board) -> None:
        node = [0] * len(_NOTHING)
        gate = self._gate
        for tally in (gate.others, *gate.routes.values()):
            for index, count in enumerate(self._add(board, tally)):
                node[index] += count
        for tally in gate.countries.values():
            self._add(board, tally)
        board.add(NODE, Counts(*node))

    def _add(self, board: Board, tally: Tally) -> Counts:
        """Bring a tally's new counts to the board; what they are."""
        counted = Counts(tally.requests, tally.clients, tally.errors, tally.misses)
        before = self._told.get(tally.name, _NOTHING)
        if counted == before:
            return _NOTHING
        self._told[tally.name] = counted
        new = _less(counted, before)
        if tally.name:
            board.add(tally.name, new)
        return new

    def _judge_all(self, board: Board, seconds: float, now: float, surge: float) -> float:
        """Judge what all workers counted; since when there is an alarm anywhere, 0.0 if there is none."""
        if self._verdict is not None:  # the worker that judged is gone
            self._judge.restore(self._verdict["judge"], now)
            self._verdict = None
        sums = board.sums()
        before, self._sums = self._sums, sums
        if before is None:
            return surge
        counted = {name: _less(counts, before.get(name, _NOTHING)) for name, counts in sums.items()}
        moved = {name: counts for name, counts in counted.items() if name == NODE or any(counts)}
        changes = self._judge.tick(moved, seconds, now)
        self._levels = self._judge.levels if self._judge.judged else {}
        surge = (surge or now) if any(self._levels.values()) else 0.0
        self._ticks += 1
        if changes or self._ticks % PUBLISHED == 0:
            try:
                board.publish({"levels": self._levels, "surge": surge, "judge": self._judge.to_json()})
            except OSError as error:
                logger.warning("flood: the other workers do not learn the state: %s", error)
        for change in changes:
            self._transitions.inc(change.scope, STATES[change.after])
            logger.log(logging.WARNING if change.after > change.before else logging.INFO, "%s", audit(change))
            self._announce(change)
        return surge

    def _apply(self, surge: float, now: float) -> None:
        gate, levels = self._gate, self._levels
        node = gate.others.alarm = levels.get(NODE, NORMAL)
        for tally in gate.routes.values():
            tally.alarm = max(node, levels.get(tally.name, NORMAL))
        for tally in gate.countries.values():
            tally.alarm = levels.get(tally.name, NORMAL)
        if surge != gate.surge or now - self._looked >= LOOK:
            if surge == 0.0 and gate.surge > 0.0:
                self._worst.over()
            gate.surge = surge
            gate.look += 1
            self._looked = now
        if ATTACK in levels.values():
            self._worst.judge()

    def _states(self) -> Iterable[tuple[tuple[str, ...], float]]:
        for name, level in self._levels.items():
            if level or not name.startswith("country:"):
                yield (name,), float(level)

    def __repr__(self) -> str:
        return f"<Watch {STATES[self._levels.get(NODE, NORMAL)]}, {self._board!r}>"


def audit(change: Change) -> str:
    """One line for the log: what changed, and the figures that decided."""
    figures = ", ".join(
        f"{name} {_shown(index, value)} (usual {_shown(index, usual)}, {score:+.1f} deviations)"
        for index, (name, value, usual, score) in enumerate(change.figures)
    )
    return f"flood: {change.scope}: {STATES[change.before]} -> {STATES[change.after]}: {figures}"


def _shown(index: int, value: float) -> str:
    return f"{value:.0%}" if SIGNALS[index].of_requests else f"{value:.1f}/s"


def _less(counts: Counts, before: Counts) -> Counts:
    return Counts(*[now - then for now, then in zip(counts, before, strict=True)])
