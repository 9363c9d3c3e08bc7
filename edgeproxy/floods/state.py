"""The three states of what is watched, and how one becomes another: up soon, down late."""

from __future__ import annotations

from typing import Final

NORMAL: Final = 0
ELEVATED: Final = 1
ATTACK: Final = 2
STATES: Final = ("normal", "elevated", "attack")

LEAVE: Final = 0.5  # a state is left below this share of what it was entered by


class Thresholds:
    """From how many deviations on a figure is ``elevated`` or an ``attack``; half as many keep it so."""

    __slots__ = ("_enter",)

    def __init__(self, elevated: float, attack: float) -> None:
        self._enter = ((attack, ATTACK), (elevated, ELEVATED))

    def entered(self, score: float) -> int:
        return self._level(score, 1.0)

    def kept(self, score: float) -> int:
        return self._level(score, LEAVE)

    def _level(self, score: float, share: float) -> int:
        for bound, level in self._enter:
            if score >= bound * share:
                return level
        return NORMAL


class Ladder:
    """One state. It rises to what two looks in a row have found, and goes down one step whenever it has been quieter
    than that for ``calm`` seconds; so no state lasts less."""

    __slots__ = ("_before", "_calm", "_quiet_since", "level", "since")

    def __init__(self, calm: float) -> None:
        self._calm = calm
        self._before = NORMAL
        self._quiet_since = 0.0
        self.level = NORMAL
        self.since = 0.0

    def look(self, entered: int, kept: int, now: float) -> bool:
        """Take in one look: the levels reached by the thresholds for entering and for staying, at ``now`` (monotonic
        seconds). Whether the state has changed."""
        confirmed = min(entered, self._before)
        self._before = entered
        if confirmed > self.level:
            self._set(confirmed, now)
            return True
        if kept >= self.level:
            self._quiet_since = now
        elif now - self._quiet_since >= self._calm:
            self._set(self.level - 1, now)
            return True
        return False

    def restore(self, level: int, since: float, now: float) -> None:
        """Go on in a state that another worker has found."""
        self.level, self.since, self._quiet_since = level, since, now

    def _set(self, level: int, now: float) -> None:
        self.level = level
        self.since = self._quiet_since = now

    def __repr__(self) -> str:
        return f"<Ladder {STATES[self.level]} since {self.since:.1f}>"
