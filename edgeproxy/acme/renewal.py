"""One run: everything that is due is ordered, what fails is left for later, and what is there stays as it is."""

from __future__ import annotations

import logging
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple

from edgeproxy.acme import schedule, state
from edgeproxy.acme.account import Account
from edgeproxy.acme.authority import Authority
from edgeproxy.acme.demand import Demand
from edgeproxy.acme.failure import AcmeError
from edgeproxy.acme.files import AUTHORITY, ORDERS
from edgeproxy.acme.inventory import Certificate, Inventory
from edgeproxy.acme.material import bundle, leaf_of, lifetime, new_key, request_for
from edgeproxy.acme.network import within
from edgeproxy.acme.proofs import Proofs
from edgeproxy.acme.state import Order, State
from edgeproxy.acme.storage import Storage
from edgeproxy.clock import Clock
from edgeproxy.config.acme import AcmeConfig

logger = logging.getLogger("edgeproxy.acme")

MOST_AT_ONCE = 20  # orders of one run
LONGEST = 1_800.0  # seconds after which a run begins no further order
MOST_ASKED = 100  # certificates the authority is asked about in one run
ASK_WITHIN = 30.0
RULE_AGAIN = 86_400.0  # seconds until a rule is asked again that allows a certificate no more
COMING = 1_800.0  # seconds: what is to be asked about by then is asked about together


class Outcome(NamedTuple):
    """What a run did: names that have a new certificate, those that failed and why; ``busy``: why it did nothing at
    all."""

    renewed: tuple[str, ...] = ()
    failed: tuple[tuple[str, str], ...] = ()
    busy: str = ""


class Renewal:
    """``listed``: the names of the configuration. ``pause`` waits, ``chance`` draws from [0, 1)."""

    def __init__(
        self,
        config: AcmeConfig,
        listed: Iterable[str],
        storage: Storage,
        clock: Clock,
        pause: Callable[[float], None] = time.sleep,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._config = config
        self._inventory = Inventory(config, listed, storage, clock)
        self._storage = storage
        self._clock = clock
        self._chance = chance
        self._account = Account(config, storage, clock, pause)
        self._proofs = Proofs(config, storage)
        self._authority: Authority | None = None

    def run(self, only: Sequence[str] = ()) -> Outcome:
        """Order what is due; with ``only``, the certificates of these names whether they are due or not. Raises OSError
        of the folder."""
        self._storage.files.prepare()
        with self._storage.turn() as busy:
            if busy:
                return Outcome(busy=busy)
            inventory = self._inventory
            inventory.sweep()
            demand = Demand(self._config.on_demand, self._storage.files, self._clock.wall)
            certificates = inventory.certificates(demand)
            if only:
                return self._order([one for one in certificates if set(one.names) & set(only)], demand)
            if self._clock.wall() < inventory.known(AUTHORITY).retry:
                return Outcome(busy="the authority is left alone for a while")
            return self._order(self._due(self._ask(certificates)), demand)

    def revoke(self, name: str) -> None:
        """Have the certificate of a name revoked, and forget it. Raises AcmeError, OSError, ValueError if there is
        none."""
        self._storage.files.prepare()
        with self._storage.turn() as busy, within(self._config.timeout, "it is not revoked"):
            if busy:
                raise AcmeError(busy)
            pem = self._storage.read(self._inventory.path(name))
            if pem is None:
                raise ValueError(f"there is no certificate for {name}")
            self._account.open().revoke(leaf_of(pem))
            self._inventory.forget(name)

    def change_account_key(self) -> None:
        """Give the account a new key. Raises AcmeError, and OSError of the folder."""
        self._storage.files.prepare()
        with self._storage.turn() as busy, within(self._config.timeout, "the key is not changed"):
            if busy:
                raise AcmeError(busy)
            self._account.change_key()

    # What is to be done.

    def _due(self, certificates: Iterable[Certificate]) -> list[Certificate]:
        """Those to be ordered now, the ones that end first at the head."""
        now = self._clock.wall()
        due = [one for one in certificates if max(one.state.due, one.state.retry) <= now]
        return sorted(due, key=lambda one: (one.state.failures, one.state.expires))

    def _ask(self, certificates: Sequence[Certificate]) -> list[Certificate]:
        """Have the authority say when it would like renewals, where it is time to ask. If it does not, that is no
        failure: they are due by their own dates."""
        now, asked, found = self._clock.wall(), 0, []
        for one in certificates:
            known = one.state
            if one.life is not None and now < known.due and known.asked <= now + COMING:
                asked += 1
                one = one._replace(state=known._replace(asked=schedule.ask_again(now, 0.0)))
                if asked <= MOST_ASKED:
                    try:
                        with within(ASK_WITHIN, "the authority did not say when to renew"):
                            one = self._asked(one)
                    except AcmeError as error:
                        logger.info("%s: %s", one.name, error)
                        asked += MOST_ASKED * error.whole
                self._inventory.remember(one)
            found.append(one)
        return found

    def _asked(self, one: Certificate) -> Certificate:
        now, pem = self._clock.wall(), self._storage.read(self._inventory.path(one.name)) or b""
        window = self._open().window(leaf_of(pem))
        if window is None:
            return one._replace(state=one.state._replace(asked=now + schedule.ASK_MOST))
        moment = schedule.within(one.name, window.start, window.end)
        again = schedule.ask_again(now, window.again)
        return one._replace(state=one.state._replace(due=moment, suggested=moment, asked=again))

    def _order(self, due: Sequence[Certificate], demand: Demand) -> Outcome:
        began = self._clock.monotonic()
        renewed: list[str] = []
        failed: list[tuple[str, str]] = []
        for one in due[:MOST_AT_ONCE]:
            if self._clock.monotonic() - began > LONGEST:
                break
            if one.state.on_demand and one.life is not None and not demand.still(one.name):
                again = self._clock.wall() + RULE_AGAIN  # the service may have been away
                self._inventory.remember(one._replace(state=one.state._replace(retry=again)))
                continue
            if (later := self._room(one)) > self._clock.wall():
                failed.append((one.name, "the rate of orders is used up"))
                self._inventory.remember(one._replace(state=one.state._replace(retry=later)))
                continue
            self._storage.keep_turn()
            try:
                with within(self._config.timeout, "no certificate"):
                    self._obtain(one)
            except AcmeError as error:
                failed.append((one.name, str(error)))
                if self._failed(one, error):
                    break
            else:
                renewed.append(one.name)
            finally:
                for name in one.names:
                    demand.met(name)
        return Outcome(tuple(renewed), tuple(failed))

    def _obtain(self, one: Certificate) -> None:
        now = self._clock.wall()
        authority = self._open()
        key = new_key(self._config.key)
        orders = state.decode_orders(self._storage.read(ORDERS))
        orders.append(Order(now, one.state.on_demand and one.life is None))
        self._storage.write(ORDERS, state.encode_orders(orders))
        logger.info("%s: ordered from %s by %s", one.name, self._config.directory, self._config.challenge)
        before = None if one.life is None else self._storage.read(self._inventory.path(one.name))
        replaced = None if before is None else leaf_of(before)
        chain = authority.order(one.names, request_for(one.names, key), self._proofs.prove, replaced)
        pem = bundle(key, chain, one.names)
        for name in one.names:
            self._storage.write(self._inventory.path(name), pem)
        if self._inventory.known(AUTHORITY).failures:
            self._storage.drop(AUTHORITY)
        life = lifetime(pem)
        due = schedule.due(one.name, life.begins, life.ends, self._config.renew_before, self._config.spread)
        known = State(due=due, expires=life.ends, asked=now + schedule.ASK_LEAST, on_demand=one.state.on_demand)
        self._inventory.remember(Certificate(one.names, life, known))
        until = time.strftime("%Y-%m-%d %H:%M:%SZ", time.gmtime(life.ends))
        logger.info("%s: renewed, valid until %s", one.name, until)

    def _failed(self, one: Certificate, error: AcmeError) -> bool:
        """Note down that an order failed; whether the others would too."""
        now = self._clock.wall()
        logger.error("%s: no certificate: %s", one.name, error)
        if error.code == "accountDoesNotExist":
            self._account.forget()
        if error.whole:
            known = self._inventory.known(AUTHORITY)
            failures = known.failures + 1
            again = schedule.retry(now, schedule.AUTHORITY_STEPS, failures, error.retry_after, self._chance())
            self._storage.write(AUTHORITY, state.encode(State(failures=failures, retry=again, reason=str(error))))
        failures = one.state.failures + 1
        again = schedule.retry(now, schedule.NAME_STEPS, failures, error.retry_after, self._chance())
        known = one.state._replace(failures=failures, retry=again, reason=str(error))
        self._inventory.remember(one._replace(state=known))
        return error.whole

    def _room(self, one: Certificate) -> float:
        """When there may be another order for it."""
        now = self._clock.wall()
        orders = state.decode_orders(self._storage.read(ORDERS))
        _, when = schedule.room((order.at for order in orders), self._config.orders, now)
        if self._config.on_demand is not None and one.state.on_demand and one.life is None:
            asked = (order.at for order in orders if order.on_demand)
            when = max(when, schedule.room(asked, self._config.on_demand.rate, now)[1])
        return when

    def _open(self) -> Authority:
        if self._authority is None:
            self._authority = self._account.open()
        return self._authority
