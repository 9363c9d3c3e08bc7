"""Limits that a region counts, as requests meet them: accounts of keys, spent from without asking anybody."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from edgeproxy.limits import ledger
from edgeproxy.limits.lease import Account, Terms, charge, short, spend

MOST_WAITING: Final = 100_000  # accounts to be asked for; what comes beyond that asks when it is met again


class Slot:
    """What a worker knows of one group of keys, all of them but in a Cluster. ``wake`` is called when something is to
    be asked, with whether somebody may be refused until it is.

    epoch: when Redis' memory began, b"" before it was asked; memory: which one that is, one more whenever it may have
    lost some. workers: how many share the limits. alone: each goes on with its share, until ``settled`` (monotonic
    seconds) if that is known. away: a call has failed since the last one that did not.
    """

    __slots__ = ("alone", "away", "epoch", "holding", "memory", "number", "settled", "waiting", "wake", "workers")

    def __init__(self, number: int, workers: int, wake: Callable[[bool], None]) -> None:
        self.number = number
        self.workers = workers
        self.wake = wake
        self.alone = True
        self.away = False
        self.settled = 0.0
        self.epoch = b""
        self.memory = 1
        self.waiting: dict[Account, None] = {}
        self.holding: dict[Account, None] = {}

    def ask(self, account: Account, urgent: bool) -> None:
        """Have Redis asked for it soon."""
        if not account.asking and len(self.waiting) < MOST_WAITING:
            account.asking = True
            self.waiting[account] = None
        if account.asking:
            self.wake(urgent)

    def __repr__(self) -> str:
        state = "alone" if self.alone else "joined"
        return f"<Slot {self.number} {state}, one of {self.workers}, {len(self.waiting)} waiting>"


class Home(Protocol):
    """Where accounts are kept up with Redis."""

    def slot(self, name: bytes) -> Slot:
        """The group that a key with this name is in."""
        ...

    def join(self, limiter: RegionLimiter) -> None:
        """Keep a limiter's accounts up from now on."""
        ...

    async def leave(self, limiter: RegionLimiter) -> None:
        """Do so no more."""
        ...


class RegionLimiter:
    """Allows ``burst`` events at once and one more each ``interval`` seconds, per key, to all workers of the region
    together, and at most *workers x batch* more in any stretch of time (:mod:`edgeproxy.limits.lease`).

    At most ``keys`` keys are remembered, in two generations as in the worker's own limiter, about 500 bytes each. What
    a forgotten key holds is given back.
    """

    __slots__ = ("_half", "_home", "_name", "_new", "_old", "terms")

    def __init__(self, terms: Terms, keys: int, name: bytes, home: Home) -> None:
        self.terms = terms
        self._name = name
        self._home = home
        self._half = max(1, keys // 2)
        self._new: dict[bytes, tuple[Account, Slot]] = {}
        self._old: dict[bytes, tuple[Account, Slot]] = {}

    def take(self, key: bytes, now: float, cost: float = 1.0) -> float:
        """Count one event at ``now`` (monotonic seconds).

        The key's theoretical arrival time, as far as this worker knows, if it is allowed, else minus the seconds to
        wait; a refusal is not counted, and asks nobody while it is known to be one.
        """
        found = self._new.get(key)
        account, slot = found if found is not None else self._recall(key, now)
        wait = spend(account, now, cost, slot.workers, slot.alone)
        joined = not slot.alone
        if wait > 0:
            if joined and account.owed > 0:
                slot.wake(True)
            return -wait
        if account.owed > 0 or (account.held < account.low and now >= account.until):
            slot.ask(account, joined and account.owed * 2 > self.terms.owe)
        return now + max(0.0, account.debt(now) - account.held * self.terms.interval)

    def charge(self, key: bytes, now: float, cost: float) -> None:
        """Count what has happened already, also beyond the limit: the key then waits until it has made up for it."""
        found = self._new.get(key)
        account, slot = found if found is not None else self._recall(key, now)
        charge(account, now, cost, slot.workers, slot.alone)
        if account.owed > 0:
            slot.ask(account, False)

    def wait(self, key: bytes, now: float, cost: float = 1.0) -> float:
        """Seconds until an event would be allowed, 0 if it is now. Counts nothing."""
        found = self._new.get(key) or self._old.get(key)
        if found is None:
            return max(0.0, (cost - self.terms.burst) * self.terms.interval)
        account, slot = found
        return short(account, now, cost, slot.workers, slot.alone)

    def available(self, arrival: float, now: float) -> int:
        """How many events at once are left to a key with this theoretical arrival time."""
        return max(0, int(self.terms.burst - max(0.0, arrival - now) / self.terms.interval + 1e-6))

    async def start(self) -> None:
        """Have the accounts kept up."""
        self._home.join(self)

    async def stop(self) -> None:
        """Have them kept up no more; exchanges under way still count."""
        await self._home.leave(self)

    def forget(self) -> None:
        """Begin anew with every key: what they were leased by is not asked any more."""
        self._new, self._old = {}, {}

    def tell_all(self, slot: Slot, now: float) -> None:
        """Have all be told again that Redis may have forgotten."""
        for generation in (self._new, self._old):
            for account, place in generation.values():
                if place is slot and (account.arrival > now or account.owed > 0):
                    slot.ask(account, False)

    def _recall(self, key: bytes, now: float) -> tuple[Account, Slot]:
        """The key's account from the older generation, brought over into the newer, or a new one."""
        found = self._old.get(key)
        if found is None:
            name = ledger.name(self._name, key)
            found = Account(name, self.terms, now), self._home.slot(name)
        if len(self._new) >= self._half:
            self._old = self._new
            self._new = {}
        self._new[key] = found
        return found

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def __repr__(self) -> str:
        return f"<RegionLimiter {len(self._new)}+{len(self._old)} of {2 * self._half} keys>"
