"""How fast a member answers: decayed times by kind of request, a peak, and the share that failed."""

from __future__ import annotations

from math import exp
from typing import Final

KINDS: Final = 8
TAU: Final = 4.0  # seconds in which an old time's part falls to 1/e while new ones come
PEAK_TAU: Final = 10.0  # the same for the peak: Finagle's own
MOST: Final = 0.3  # the most that one answer weighs: a single slow one is no slow member
LEAST: Final = 0.01  # and the least: of answers that come at once, each has its say
FRESH: Final = 2.0  # seconds for which a time stands as it is while nothing comes
FORGET: Final = 15.0  # seconds behind those in which it falls to 1/e of its say, and the pool's usual takes over
TIRELESS: Final = 0.95  # an error share above this counts as this: whoever fails always is twenty times as dear
UNKNOWN: Final = -1.0


class Usual:
    """What the members of one pool take on the whole, by kind: what a member is taken for that is not known yet."""

    __slots__ = ("_last", "times")

    def __init__(self) -> None:
        self.times: list[float] = [UNKNOWN] * KINDS
        self._last: list[float] = [0.0] * KINDS

    def took(self, kind: int, seconds: float, now: float) -> float:
        """Count an answer; what the kind took before it, ``seconds`` itself for the first."""
        usual = self.times[kind]
        if usual < 0.0:
            usual = self.times[kind] = seconds
        else:
            self.times[kind] = usual + _weight(now - self._last[kind]) * (seconds - usual)
        self._last[kind] = now
        return usual

    def __repr__(self) -> str:
        return f"<Usual {_shown(self.times)}>"


class Pace:
    """What one member's answers took, each to its head. ``usual`` is the pool's, shared by its members; times are
    seconds, ``now`` monotonic, ``kind`` 0 to 7.

    A time fades once none follows: a member that was slow, and therefore is not asked, comes to be taken at the pool's
    usual again, so that it is tried and shows what it is now. ``latest``: the last answer's time; ``ratio``: the
    member's times to the pool's, 1 for the same.
    """

    __slots__ = ("_cost", "_cost_at", "_errors", "_errors_at", "_last", "_times", "latest", "ratio", "usual")

    def __init__(self, usual: Usual | None = None) -> None:
        self.usual: Usual = Usual() if usual is None else usual
        self._times: list[float] = [UNKNOWN] * KINDS
        self._last: list[float] = [0.0] * KINDS
        self.ratio = 1.0  # to what the pool takes, all kinds together
        self.latest = 0.0  # seconds, of whatever kind
        self._cost = 0.0
        self._cost_at = 0.0
        self._errors = 0.0
        self._errors_at = 0.0

    def took(self, kind: int, seconds: float, now: float) -> None:
        """An answer's head came after ``seconds``."""
        usual = self.usual.took(kind, seconds, now)
        time = self._times[kind]
        if time < 0.0:
            self._times[kind] = seconds
            weight = MOST
        else:
            weight = _weight(now - self._last[kind])
            self._times[kind] = time + weight * (seconds - time)
        self._last[kind] = now
        self.latest = seconds
        if usual > 0.0:
            self.ratio += weight * (min(seconds / usual, 100.0) - self.ratio)
        self._cost = max(seconds, self._decayed_cost(now, seconds))
        self._cost_at = now
        if self._errors > 0.0:
            self._fail(0.0, now)

    def failed(self, kind: int, now: float) -> None:
        """A request failed, however soon: that it was over quickly speaks for nobody."""
        if self._times[kind] < 0.0:
            self._last[kind] = now
        self._fail(1.0, now)

    def expected(self, kind: int, now: float) -> float:
        """Seconds until a good answer's head, failed tries included; 0 while nobody in the pool knows."""
        time = self._times[kind]
        age = now - self._last[kind]
        if time < 0.0 or age > FRESH:
            usual = self.usual.times[kind]
            if usual < 0.0:
                usual = 0.0
            faded = exp((FRESH - age) / FORGET)
            time = usual * self.ratio if time < 0.0 else usual + faded * (time - usual)
        if self._errors > 0.0:
            time /= 1.0 - min(self.errors(now), TIRELESS)
        return time

    def age(self, kind: int, now: float) -> float:
        """Seconds since the last answer of that kind, or since 0 if there was none."""
        return now - self._last[kind]

    def peak(self, now: float) -> float:
        """Seconds, of all kinds: up at once, down by and by (Finagle's peak EWMA)."""
        return self._decayed_cost(now, 0.0)

    def errors(self, now: float) -> float:
        """The share of the latest requests that failed, 0 to 1; it fades as times do."""
        return self._errors * exp((self._errors_at - now) / FORGET)

    def _fail(self, outcome: float, now: float) -> None:
        errors = self._errors
        errors += _weight(now - self._errors_at) * (outcome - errors) if outcome == 0.0 else MOST * (1.0 - errors)
        self._errors = errors if errors > 0.001 else 0.0
        self._errors_at = now

    def _decayed_cost(self, now: float, towards: float) -> float:
        part = exp((self._cost_at - now) / PEAK_TAU)
        return self._cost * part + towards * (1.0 - part)

    def __repr__(self) -> str:
        return f"<Pace {_shown(self._times)}>"


def _weight(age: float) -> float:
    """What a time weighs that comes ``age`` seconds behind the one before."""
    return max(LEAST, min(1.0 - exp(-age / TAU), MOST))


def _shown(times: list[float]) -> str:
    return " ".join("-" if time < 0.0 else f"{1000 * time:.1f}" for time in times) + " ms"
