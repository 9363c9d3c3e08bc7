"""What a worker may let through of a limit that a region counts: the arithmetic of leases, without Redis and time.

Of ``batch``, one half is what a worker may hold: it was counted when it was leased, and is spent later. The other half
is what it may owe: it was spent before it is counted. So in any stretch of time a region lets through at most what the
limit allows (``burst`` and one more each ``interval``) and **workers x batch** on top, however its requests come in.
An event that costs more than half a batch is leased, or owed, by itself, and counts as half a batch here.

Without Redis each worker counts alone, one ``workers``-th of the limit, and has no more at once than what it may owe in
any case. What it lets through is owed, and counted as of when it was spent once Redis is back.
"""

from __future__ import annotations

from typing import Final, NamedTuple

HORIZON: Final = 0.1  # seconds a lease is to last for, at the pace a key is asked for
IDLE: Final = 1.0  # seconds after which a lease that nobody spends is given back
SHORTLY: Final = 0.001  # the least a refusal tells to wait, in seconds

_LOST: Final = 1e-6  # events that float arithmetic may lose


class Terms(NamedTuple):
    """A limit: ``burst`` events at once, one more each ``interval`` seconds; most to ``hold`` and to ``owe``, at least
    one each. ``share`` is a worker's part of the limit while it is alone, 0.0 for an equal one."""

    interval: float
    burst: float
    hold: float
    owe: float
    share: float = 0.0


class Ask(NamedTuple):
    """What Redis is told and asked of a key. ``floor``: the arrival time it is known to have, in seconds from now, and
    ``must``, whether that counts although Redis has another; ``owed``: events to be counted (below 0: given back), that
    were spent in the last ``age`` seconds; ``want``: events to lease."""

    floor: float
    must: bool
    owed: float
    age: float
    want: int


class Account:
    """What a worker knows of a key. Times are monotonic seconds.

    arrival: the theoretical arrival time the region had when it was last asked, what it leased counted in. held: events
    that may be let through unasked. owed: events let through that Redis has not counted, and since when. alone: the
    theoretical arrival time of this worker's own share. until: when it is worth asking again. low: at how many held
    events to ask for more. used: when it was last asked for; need: what an event cost then. spent: events let through
    since it last asked, at asked. memory: the one of
    Redis that arrival is from, 0 for none. asking: it is being asked for.
    """

    __slots__ = (
        *("alone", "arrival", "asked", "asking", "held", "low", "memory", "name", "need", "owed", "since"),
        *("spent", "terms", "until", "used"),
    )

    def __init__(self, name: bytes, terms: Terms, now: float) -> None:
        self.name = name
        self.terms = terms
        self.arrival = 0.0
        self.held = 0.0
        self.owed = 0.0
        self.since = 0.0
        self.alone = 0.0
        self.until = 0.0
        self.low = 0.0
        self.used = 0.0
        self.need = 1.0
        self.spent = 0.0
        self.asked = now
        self.memory = 0
        self.asking = False

    def debt(self, now: float) -> float:
        """Seconds until the region has the whole burst back, as far as this worker knows; 0.0 if it has."""
        arrival = self.arrival
        if self.owed > 0:
            arrival = max(arrival, self.since) + self.owed * self.terms.interval
        return max(0.0, arrival - now)

    def __repr__(self) -> str:
        return f"<Account {self.held:g} held, {self.owed:g} owed>"


def spend(account: Account, now: float, cost: float, workers: int, alone: bool) -> float:
    """Let an event through, out of what is held, else on credit, or of the share while the worker is alone: 0.0; or
    the seconds to wait."""
    account.used = now
    if account.held >= cost:
        account.held -= cost
        account.spent += cost
        return 0.0
    account.need = cost
    wait = _short_of_share(account, now, cost, workers) if alone else _short_of_credit(account, now, cost, workers)
    if wait > 0:
        return max(wait, SHORTLY)
    # Credit that was used is missing from the share, should the worker be alone next.
    interval = _own_interval(account.terms, workers)
    account.alone = min(max(account.alone, now) + cost * interval, now + max(cost, account.terms.owe) * interval)
    _owe(account, now, cost)
    return 0.0


def short(account: Account, now: float, cost: float, workers: int, alone: bool) -> float:
    """Seconds until such an event would be let through; 0.0 if it would be now. Changes nothing."""
    if account.held >= cost:
        return 0.0
    wait = _short_of_share(account, now, cost, workers) if alone else _short_of_credit(account, now, cost, workers)
    return max(wait, SHORTLY) if wait > 0 else 0.0


def charge(account: Account, now: float, cost: float, workers: int, alone: bool) -> None:
    """Count what has happened already, also beyond what is there."""
    own = min(cost, account.held)
    account.held -= own
    account.spent += own
    account.used = now
    if cost > own:
        if alone:
            account.alone = max(account.alone, now) + (cost - own) * _own_interval(account.terms, workers)
        _owe(account, now, cost - own)


def ask(account: Account, now: float, memory: int, workers: int) -> Ask:
    """What to tell and to ask of it; what it comes to goes to :func:`settle`. ``memory`` of Redis that is asked."""
    terms = account.terms
    age = 0.0
    if account.owed < 0 and account.arrival <= now:
        account.owed = 0.0  # the debt it was counted in has passed: there is nothing left to take it off
    if account.owed > 0:
        # What was spent at the pace of the share may count from when that began, a burst counts from now.
        burst = max(0.0, account.alone - now)
        age = max(0.0, min(now - account.since, account.owed * _own_interval(terms, workers) - burst))
    elapsed = max(HORIZON, now - account.asked)
    ahead = min(terms.hold, 2 * (account.spent - account.need) * HORIZON / elapsed)
    want = max(0, int(ahead - account.held + _LOST))
    account.spent = 0.0
    account.asked = now
    must = account.memory not in {0, memory}
    return Ask(account.arrival - now, must, account.owed, age, want)


def settle(
    account: Account, asked: Ask, granted: float, ahead: float, now: float, sent: float, memory: int, workers: int
) -> None:
    """Take in the answer to what was asked at ``sent``: events leased, and the arrival time, ``ahead`` seconds from
    now."""
    terms = account.terms
    account.owed -= asked.owed
    account.since = sent
    if account.owed < _LOST:
        account.owed = 0.0
    account.held += granted
    account.low = account.held / 2
    account.arrival = now + ahead
    account.memory = memory
    account.until = 0.0
    wait = ahead + (account.need - terms.burst) * terms.interval
    if granted < asked.want or wait > 0:
        # Not at once when there is one event again: that would be a call for each.
        account.until = now + max(wait, min(HORIZON, terms.hold * workers * terms.interval / 2))


def give_back(account: Account) -> None:
    """Let go of what is held, and have it told."""
    account.owed -= account.held
    account.held = account.low = 0.0


def _owe(account: Account, now: float, cost: float) -> None:
    if account.owed <= 0:
        account.since = now
    account.owed += cost
    account.spent += cost


def _own_interval(terms: Terms, workers: int) -> float:
    return terms.interval / terms.share if terms.share else terms.interval * max(1, workers)


def _short_of_share(account: Account, now: float, cost: float, workers: int) -> float:
    """GCRA on the worker's own part of the limit. One event at least passes, however many workers there are."""
    terms = account.terms
    interval = _own_interval(terms, workers)
    burst = max(cost, min(terms.owe, terms.burst * terms.interval / interval))
    excess = max(account.alone - now, 0.0) + (cost - burst) * interval
    return excess if excess > _LOST * interval else 0.0


def _short_of_credit(account: Account, now: float, cost: float, workers: int) -> float:
    """An equal part of what is left in the region, as far as is known, but no more than may be owed."""
    if now < account.until:
        return account.until - now
    terms = account.terms
    left = terms.burst - account.debt(now) / terms.interval
    if left < cost - _LOST:
        return (cost - left) * terms.interval
    if account.owed <= 0:
        return 0.0
    mine = min(terms.owe, (left + account.owed) / max(1, workers))
    return 0.0 if account.owed + cost <= mine + _LOST else SHORTLY
