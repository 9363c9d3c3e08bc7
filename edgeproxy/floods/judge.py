"""Judges what was counted: every scope by its own baseline. Pure: counts and time in, changes of state out."""

from __future__ import annotations

from collections.abc import Mapping
from math import exp
from typing import Any, Final, NamedTuple

from edgeproxy.floods.baseline import OUTLIER, Baseline
from edgeproxy.floods.state import ATTACK, ELEVATED, NORMAL, Ladder, Thresholds

NODE: Final = "node"
SMOOTHED: Final = 2.0  # seconds: the time constant of the figures that are judged
SLOWER: Final = 6.0  # times less is learned while elevated
SHARE_LEAST: Final = 0.05  # the smallest deviation of a share
SHARE_LEARNED: Final = 20  # intervals after which the mean of a share is one
FORGOTTEN: Final = 1e-3  # requests a second: a scope with less of a baseline and no traffic is one without a past


class Counts(NamedTuple):
    """What was counted of one scope, ever since: requests, clients seen for the first time, answers with 5xx, requests
    that went to the origin."""

    requests: int = 0
    clients: int = 0
    errors: int = 0
    misses: int = 0


class Signal(NamedTuple):
    """One figure that is watched: per second, or ``of_requests`` as a share of them; and how high it may raise the
    state by itself."""

    name: str
    of_requests: bool
    highest: int


# In the order of Counts. A purge sends everything to the origin and a broken origin answers with errors: neither is
# an attack by itself.
SIGNALS: Final = (
    Signal("requests", False, ATTACK),
    Signal("new clients", False, ATTACK),
    Signal("error share", True, ELEVATED),
    Signal("miss share", True, ELEVATED),
)


class Settings(NamedTuple):
    """``floor``: requests a second below which nothing is an alarm; ``elevated`` and ``attack``: deviations; the rest
    in seconds."""

    floor: float = 50.0
    elevated: float = 8.0
    attack: float = 16.0
    memory: float = 600.0
    warm_up: float = 30.0
    calm: float = 30.0


class Change(NamedTuple):
    """A scope that has gone from one state to another, and the figures that decided: name, value, mean, score."""

    scope: str
    before: int
    after: int
    figures: tuple[tuple[str, float, float, float], ...]


class Scope:
    """The figures, baselines and state of the node, a route or a country."""

    __slots__ = ("_settings", "_thresholds", "baselines", "ladder", "rates", "scores")

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thresholds = Thresholds(settings.elevated, settings.attack)
        least = settings.floor / settings.elevated  # so that the floor is what raises the state of a silent site
        self.baselines = [Baseline(settings.memory, SHARE_LEAST if signal.of_requests else least) for signal in SIGNALS]
        self.ladder = Ladder(settings.calm)
        self.rates = [0.0] * len(SIGNALS)
        self.scores = [0.0] * len(SIGNALS)

    def tick(self, counted: Counts, seconds: float, now: float, *, judged: bool) -> bool:
        """Take in what came in the last ``seconds``; whether the state has changed. Not ``judged`` is only learned."""
        fading = exp(-seconds / SMOOTHED)
        for index, count in enumerate(counted):
            self.rates[index] = fading * self.rates[index] + (1.0 - fading) * count / seconds
        busy = self.rates[0] >= self._settings.floor
        entered = kept = NORMAL
        for index, signal in enumerate(SIGNALS):
            score = self.scores[index] = self.baselines[index].score(self.value(index))
            known = not signal.of_requests or (busy and self.baselines[index].intervals >= SHARE_LEARNED)
            if judged and known:
                entered = max(entered, min(self._thresholds.entered(score), signal.highest))
                kept = max(kept, min(self._thresholds.kept(score), signal.highest))
        changed = self.ladder.look(entered, kept, now)
        self._learn(seconds, judged=judged)
        return changed

    def value(self, index: int) -> float:
        """A signal's value now: a second, or a share."""
        if not SIGNALS[index].of_requests:
            return self.rates[index]
        return min(1.0, self.rates[index] / self.rates[0]) if self.rates[0] > 0 else 0.0

    def idle_for(self, intervals: int) -> None:
        """Begin as what has been silent for so long: what is asked for the first time was not just forgotten."""
        for baseline, signal in zip(self.baselines, SIGNALS, strict=True):
            baseline.intervals = 0 if signal.of_requests else intervals

    @property
    def forgettable(self) -> bool:
        """Nothing is known of it that a new one would not know."""
        quiet = self.rates[0] < FORGOTTEN and self.baselines[0].mean < FORGOTTEN
        return quiet and self.ladder.level == NORMAL

    def _learn(self, seconds: float, *, judged: bool) -> None:
        """An attack teaches nothing, an elevated state little and slowly: what stays for an hour is usual then."""
        if self.ladder.level == ATTACK:
            return
        slower = SLOWER if self.ladder.level == ELEVATED else 1.0
        for index, (baseline, signal) in enumerate(zip(self.baselines, SIGNALS, strict=True)):
            if not signal.of_requests or self.rates[0] >= 1.0:  # shares of nearly nothing say nothing
                within = OUTLIER if judged else float("inf")
                baseline.learn(self.value(index), seconds, within=within, slower=slower)

    def to_json(self) -> dict[str, Any]:
        baselines = [[one.mean, one.variance, one.intervals] for one in self.baselines]
        return {"level": self.ladder.level, "since": self.ladder.since, "rates": self.rates, "baselines": baselines}

    def restore(self, told: Mapping[str, Any], now: float) -> None:
        """Go on where another worker's scope was. Raises KeyError, TypeError or ValueError if that is none."""
        self.ladder.restore(int(told["level"]), float(told["since"]), now)
        self.rates = [float(rate) for rate in told["rates"]]
        for baseline, (mean, variance, intervals) in zip(self.baselines, told["baselines"], strict=True):
            baseline.mean, baseline.variance, baseline.intervals = float(mean), float(variance), int(intervals)


class Judge:
    """All scopes. :meth:`tick` wants what was counted since the tick before."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._intervals = 0
        self._watched = 0.0  # seconds
        self.scopes: dict[str, Scope] = {}

    def tick(self, counted: Mapping[str, Counts], seconds: float, now: float) -> list[Change]:
        """Judge one interval of ``seconds`` that ends at ``now``; a scope not counted had nothing."""
        for name in counted:
            if name not in self.scopes:
                self.scopes[name] = scope = Scope(self._settings)
                scope.idle_for(self._intervals)
        self._intervals += 1
        self._watched += seconds
        judged = self.judged
        changes = []
        for name, scope in list(self.scopes.items()):
            before = scope.ladder.level
            if scope.tick(counted.get(name, _NOTHING), seconds, now, judged=judged):
                changes.append(Change(name, before, scope.ladder.level, _figures(scope)))
            elif name not in counted and scope.forgettable:
                del self.scopes[name]
        return changes

    @property
    def judged(self) -> bool:
        """The first time, in which it only learns, is over."""
        return self._watched > self._settings.warm_up

    @property
    def levels(self) -> dict[str, int]:
        return {name: scope.ladder.level for name, scope in self.scopes.items()}

    def to_json(self) -> dict[str, Any]:
        scopes = {name: scope.to_json() for name, scope in self.scopes.items()}
        return {"intervals": self._intervals, "watched": self._watched, "scopes": scopes}

    def restore(self, told: Mapping[str, Any], now: float) -> None:
        """Go on where another worker's judge was. Raises KeyError, TypeError or ValueError if that is none."""
        scopes: dict[str, Scope] = {}
        for name, scope in told["scopes"].items():
            scopes[name] = Scope(self._settings)
            scopes[name].restore(scope, now)
        self._intervals, self._watched = int(told["intervals"]), float(told["watched"])
        self.scopes = scopes


def _figures(scope: Scope) -> tuple[tuple[str, float, float, float], ...]:
    return tuple(
        (signal.name, scope.value(index), scope.baselines[index].mean, scope.scores[index])
        for index, signal in enumerate(SIGNALS)
    )


_NOTHING: Final = Counts()
