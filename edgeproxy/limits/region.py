"""A worker's part in the limits its region counts: tells Redis what was spent and leases more, behind the requests.

Most requests ask nobody: accounts are told of together, at most every ``GAP`` seconds unless one is about to run out.
A worker is heard every ``BEAT``. While Redis does not answer each worker goes on with its share, from the first call
that fails; it says so in the log and in ``edgeproxy_rate_limit_degraded``, and goes back by itself.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Sequence
from itertools import islice
from typing import Any, Final

from edgeproxy.clock import Clock
from edgeproxy.limits import ledger
from edgeproxy.limits.accounts import RegionLimiter, Slot
from edgeproxy.limits.lease import IDLE, Account, Ask, ask, give_back, settle
from edgeproxy.observe.metrics import Metrics
from edgeproxy.redis.link import Link, Settings, UnavailableError, end

GAP: Final = 0.025  # seconds between calls
SOON: Final = 0.002  # seconds in which what is urgent comes together
BEAT: Final = 1.0  # seconds without a call after which a worker is heard
AGAIN: Final = 0.1  # seconds between looks at whether Redis is back
WITHIN: Final = 0.25  # seconds a call may take; no request waits for it
PARTING: Final = 1.0  # seconds for what is given back at the end
MOST_KEYS: Final = 256  # of a call

PURPOSE: Final = "counting the region's limits together (each worker goes on with its share)"


class Region:
    """Used from one loop. ``workers`` are those of this node: as many at least share the limits while Redis was never
    there to say how many more there are."""

    def __init__(self, clock: Clock, metrics: Metrics, workers: int = 1) -> None:
        self.settings: Settings | None = None
        self._now = clock.monotonic
        self._clock = clock
        self._metrics = metrics
        self._workers = workers
        self._me = os.urandom(8).hex()
        self._limiters: set[RegionLimiter] = set()
        self._something = asyncio.Event()
        self._urgent = asyncio.Event()
        self._slots = [Slot(0, workers, self._wake)]
        self._link: Link | None = None
        self._tasks: list[asyncio.Task[None]] = []
        metrics.gauge(
            "edgeproxy_rate_limit_degraded",
            "1 while the region's limits are not counted together and each worker goes on with its share.",
            (),
            self._degraded,
            merge="max",
        )

    async def use(self, settings: Settings | None, workers: int) -> None:
        """Count there; with other settings than before every key begins anew."""
        self._workers = workers
        if settings == self.settings:
            return
        await self.close()
        self.settings = settings
        slots = ledger.SLOTS if settings is not None and settings.topology == "cluster" else 1
        self._slots = [Slot(number, workers, self._wake) for number in range(slots)]
        for limiter in self._limiters:
            limiter.forget()
        self._begin()

    async def close(self) -> None:
        """Give back what is held, and let go of Redis."""
        await end(self._tasks)
        self._tasks = []
        link, self._link = self._link, None
        if link is not None:
            await self._part(link)
            await link.close()

    def slot(self, name: bytes) -> Slot:
        """The group that a key with this name is in."""
        return self._slots[name[0] % len(self._slots)]

    def join(self, limiter: RegionLimiter) -> None:
        """Keep a limiter's accounts up from now on."""
        self._limiters.add(limiter)
        self._begin()

    async def leave(self, limiter: RegionLimiter) -> None:
        """Do so no more; what its accounts hold is given back when it has not been spent for a while."""
        self._limiters.discard(limiter)
        if not self._limiters:
            await self.close()

    def _begin(self) -> None:
        if self._link is None and self.settings is not None and self._limiters:
            self._link = Link(self.settings._replace(timeout=WITHIN), PURPOSE, self._clock, self._metrics)
            loop = asyncio.get_running_loop()
            self._tasks = [loop.create_task(self._link.watch()), loop.create_task(self._keep_up(self._link))]

    # -- keeping up ---------------------------------------------------------------------------------------------------

    async def _keep_up(self, link: Link) -> None:
        beaten = 0.0
        while True:
            if not link.breaker.closed:
                for slot in self._slots:
                    self._lose(slot)
                await asyncio.sleep(AGAIN)
                continue
            now = self._now()
            beat = now - beaten >= BEAT
            if beat:
                beaten = now
                self._take_back(now - IDLE)
            due = [slot for slot in self._slots if beat or slot.waiting or (slot.alone and slot.settled <= now)]
            await asyncio.gather(*[self._call(link, slot) for slot in due])
            if not any(len(slot.waiting) >= MOST_KEYS and not slot.away for slot in self._slots):
                settled = [slot.settled for slot in self._slots if slot.settled > now]
                await self._rest(min([beaten + BEAT, *settled]) - self._now())

    async def _rest(self, longest: float) -> None:
        """Until something is to be asked, and a little longer: more may be."""
        if await _comes(self._something, longest):
            alone = all(slot.alone for slot in self._slots)
            if await _comes(self._urgent, BEAT / 2 if alone else GAP):
                await asyncio.sleep(SOON)
        self._something.clear()
        self._urgent.clear()

    async def _call(self, link: Link, slot: Slot) -> None:
        """Tell and ask of as many accounts as wait, and fit."""
        accounts = list(islice(slot.waiting, MOST_KEYS))
        for account in accounts:
            del slot.waiting[account]
        sent = self._now()
        asked = [ask(account, sent, slot.memory, slot.workers) for account in accounts]
        try:
            told = await self._ask(link, slot, accounts, asked)
        except UnavailableError:
            self._lose(slot)
            slot.waiting.update(dict.fromkeys(accounts))
            return
        forgotten = bool(slot.epoch) and slot.epoch != told.epoch
        slot.epoch = told.epoch
        slot.memory += forgotten
        slot.alone = told.settling > 0 or forgotten
        slot.settled = self._now() + told.settling
        slot.workers = max(told.workers, slot.workers) if slot.alone else told.workers
        if forgotten:
            slot.waiting.update(dict.fromkeys(accounts))
        if forgotten or slot.away:
            for limiter in self._limiters:
                limiter.tell_all(slot, sent)
        slot.away = False
        if forgotten:
            return
        now = self._now()
        for account, one, (granted, ahead) in zip(accounts, asked, told.leases, strict=True):
            account.asking = False
            settle(account, one, granted, ahead, now, sent, slot.memory, slot.workers)
            if account.held:
                slot.holding[account] = None
            if account.owed > 0:
                slot.ask(account, False)

    async def _ask(self, link: Link, slot: Slot, accounts: Sequence[Account], asked: Sequence[Ask]) -> ledger.Told:
        keys = ledger.keys(link.settings.prefix, slot.number, [account.name for account in accounts])
        terms = [account.terms for account in accounts]
        arguments = ledger.arguments(
            self._me, slot.epoch, slot.away and bool(slot.epoch), list(zip(terms, asked, strict=True))
        )

        async def run(client: Any) -> Any:
            from redis.exceptions import NoScriptError

            try:
                return await client.evalsha(ledger.SHA, len(keys), *keys, *arguments)
            except NoScriptError:
                return await client.eval(ledger.SCRIPT, len(keys), *keys, *arguments)

        return ledger.read(await link.call(run))

    def _lose(self, slot: Slot) -> None:
        """Redis does not answer. When it does again it may know less than it did, so it is told what is known here."""
        if not slot.away:
            slot.memory += 1
        slot.alone = slot.away = True

    def _take_back(self, before: float) -> None:
        """Give back what was last spent from before a time."""
        for slot in self._slots:
            for account in [] if slot.alone else [one for one in slot.holding if one.used < before or not one.held]:
                del slot.holding[account]
                give_back(account)
                if account.owed:
                    slot.ask(account, False)

    async def _part(self, link: Link) -> None:
        try:
            async with asyncio.timeout(PARTING):
                self._take_back(self._now() + 1)
                for slot in self._slots:
                    while slot.waiting and not slot.alone:
                        await self._call(link, slot)
                    await self._sign_off(link, slot)
        except (UnavailableError, TimeoutError):
            pass

    async def _sign_off(self, link: Link, slot: Slot) -> None:
        _, workers = ledger.keys(link.settings.prefix, slot.number, [])

        async def run(client: Any) -> Any:
            return await client.zrem(workers, self._me)

        await link.call(run)

    def _wake(self, urgent: bool) -> None:
        self._something.set()
        if urgent:
            self._urgent.set()

    def _degraded(self) -> list[tuple[tuple[str, ...], float]]:
        if self.settings is None or not self._limiters:
            return []
        return [((), float(any(slot.alone for slot in self._slots)))]

    def __repr__(self) -> str:
        return f"<Region {self._me} {self._slots!r}>"


async def _comes(event: asyncio.Event, within: float) -> bool:
    try:
        async with asyncio.timeout(max(0.0, within)):
            await event.wait()
    except TimeoutError:
        return False
    return True
