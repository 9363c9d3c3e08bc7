"""What has come of the judgements on a pool's endpoints: who is left out, for how long, on trial, or slow to start."""

from __future__ import annotations

import asyncio
import logging
import random
from collections import OrderedDict
from collections.abc import Callable
from itertools import islice
from typing import Final

from edgeproxy.balance.ask import Ask
from edgeproxy.config.pools import OutlierConfig, PoolConfig
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.observe.metrics import Metrics
from edgeproxy.origin import health, outlier
from edgeproxy.origin.endpoint import Endpoint

logger = logging.getLogger("edgeproxy.origin")

STEPS: Final = 9  # of a slow start: from 10 % of the weight to all of it
FIRST_PROBE, LAST_PROBE = 0.1, 5.0  # seconds between two tries to connect to what cannot be connected to
JITTER: Final = 0.1  # of an ejection, on top: those ejected together do not come back together
WAITS_FOR_SAFE: Final = 5.0  # seconds for which a trial waits for a request that could be repeated
LOOKED_AT: Final = 4  # endpoints on trial that one request looks at
COMPARED_EVERY: Final = 1.0  # seconds between two comparisons of what the endpoints' answers take
_UNREACHABLE: Final = frozenset((Kind.CONNECT_REFUSED, Kind.CONNECT_TIMEOUT))


class Standing:
    """Moves endpoints between the states they can be in:

    in ─ earned an ejection ─▶ ejected ─ time is over ─▶ trial ─ a success ─▶ in, slowly; a failure ─▶ ejected, longer
    any ─ no connection ─▶ unreachable ─ a connection stands ─▶ trial

    ``changed`` is called when the fitness of one has changed, ``down`` with one that has fallen silent; ``all_of_them``
    gives those in service. ``trials``: those on trial.
    """

    def __init__(
        self,
        name: str,
        config: PoolConfig,
        now: Callable[[], float],
        metrics: Metrics,
        changed: Callable[[], None],
        down: Callable[[Endpoint], None],
        all_of_them: Callable[[], list[Endpoint]],
    ) -> None:
        self._name = name
        self._config: OutlierConfig | None = config.outlier
        self._slow_start = config.slow_start
        self._now = now
        self._changed = changed
        self._down = down
        self._all = all_of_them
        self._timers: dict[Endpoint, asyncio.TimerHandle] = {}
        self._probes: dict[Endpoint, asyncio.Task[None]] = {}
        self._starting: dict[Endpoint, float] = {}  # since when
        self._step: asyncio.TimerHandle | None = None
        self._compare_at = 0.0
        self.trials: OrderedDict[Endpoint, None] = OrderedDict()  # those to be looked at first are first
        self._ejections = metrics.counter(
            "edgeproxy_origin_ejections_total", "Endpoints left out, by why.", ("pool", "endpoint", "why")
        )

    # What becomes of requests.

    def failed(self, endpoint: Endpoint, error: EdgeError | None) -> None:
        """A request failed at ``endpoint``, with an error or a status that says so."""
        if self._config is None or endpoint.retired:
            return
        earned = endpoint.record.failure(self._now())
        if error is not None and error.kind in _UNREACHABLE:
            self._lose(endpoint, silent=error.kind is Kind.CONNECT_TIMEOUT)
        elif endpoint.state == "trial":
            self._eject(endpoint, "trial", endpoint.record.eject(self._now()))
        elif earned and endpoint.state == "in" and self._room():
            self._eject(endpoint, earned, endpoint.record.eject(self._now()))

    def succeeded(self, endpoint: Endpoint, *, panicking: bool) -> None:
        """A request was answered as it should be. Where all endpoints are used, fit or not, that is a trial, too."""
        now = self._now()
        endpoint.record.success(now)
        if endpoint.state == "trial" or (panicking and endpoint.state != "in"):
            self._forget(endpoint)
            endpoint.state = "in"
            logger.info("pool %s: %s serves again", self._name, endpoint.address)
            self.start_slowly(endpoint)
            self._changed()

    def wants_rest(self, endpoint: Endpoint, seconds: float) -> None:
        """It answered 503 and asked to be left alone for so long."""
        config = self._config
        if config is None or endpoint.state != "in" or endpoint.record.failures < outlier.PATIENT:
            return
        seconds = min(seconds, config.retry_after)
        if seconds > 0 and self._room():
            self._eject(endpoint, "retry_after", endpoint.record.rest(self._now(), seconds))

    def took(self, endpoint: Endpoint, seconds: float, now: float) -> None:
        """An answer's head came after so long. Now and then those that take far too long are left out."""
        slow = None if self._config is None else self._config.slow
        if slow is None:
            return
        endpoint.record.took(seconds)
        if now < self._compare_at:
            return
        self._compare_at = now + COMPARED_EVERY
        regions: dict[str, list[Endpoint]] = {}
        for each in self._all():
            if each.state == "in":
                regions.setdefault(each.region, []).append(each)  # one far away is slow beside those here, and is not
        for there in regions.values():
            usual = outlier.usual([each.record for each in there])
            for each in there if usual else ():
                if each.record.slow(slow, usual, now) and self._room():
                    self._eject(each, "slow", each.record.eject(now))

    # What checks and operators say.

    def passes(self, endpoint: Endpoint) -> None:
        """Its checks pass again: they found out what an ejection waits for."""
        if endpoint.state == "ejected":
            self._forget(endpoint)
            self._try_again(endpoint)
        self.start_slowly(endpoint)

    def start_slowly(self, endpoint: Endpoint) -> None:
        """It comes back: a tenth of its weight at first."""
        if self._slow_start > 0:
            endpoint.share = 1 / (STEPS + 1)
            self._starting[endpoint] = self._now()
            if self._step is None:
                self._step = asyncio.get_running_loop().call_later(self._slow_start / STEPS, self._grow)

    def on_trial(self, ask: Ask, *, safe: bool) -> Endpoint | None:
        """An endpoint on trial that may have a request now; ``safe``: one that can be made again elsewhere. For a while
        it waits for such a one, of a client whose region is its own."""
        for endpoint in list(islice(self.trials, LOOKED_AT)):
            self.trials.move_to_end(endpoint)  # the next request looks at others first
            fitting = safe and endpoint.region in (ask.regions[:1] or (endpoint.region,))
            endpoint.old = min(endpoint.old, endpoint.in_flight)
            idle = endpoint.usable and endpoint.healthy and endpoint.in_flight == endpoint.old
            if idle and (fitting or ask.now - endpoint.since > WAITS_FOR_SAFE):
                return endpoint
        return None

    def forget(self, endpoint: Endpoint) -> None:
        """It is no longer in service."""
        self._forget(endpoint)
        self._starting.pop(endpoint, None)

    def stop(self) -> None:
        for endpoint in [*self._timers, *self._probes, *self.trials, *self._starting]:
            self.forget(endpoint)
        if self._step is not None:
            self._step.cancel()
            self._step = None

    # Inside.

    def _room(self) -> bool:
        out = len(self._timers) + len(self._probes) + len(self.trials)
        return outlier.room(self._config, out, len(self._all()))

    def _eject(self, endpoint: Endpoint, why: str, seconds: float) -> None:
        seconds *= random.uniform(1, 1 + JITTER)
        logger.warning("pool %s: %s is left out for %.1f s: %s", self._name, endpoint.address, seconds, _WHY[why])
        self._ejections.inc(self._name, endpoint.address, why)
        self._forget(endpoint)
        endpoint.state = "ejected"
        self._timers[endpoint] = asyncio.get_running_loop().call_later(seconds, self._try_again, endpoint)
        self._changed()

    def _lose(self, endpoint: Endpoint, *, silent: bool) -> None:
        """No connection stands: no request is to find that out again. Where it was refused, what runs goes on: so does
        an origin that ends gracefully."""
        if endpoint.state == "unreachable":
            return
        logger.warning("pool %s: %s cannot be connected to", self._name, endpoint.address)
        self._ejections.inc(self._name, endpoint.address, "unreachable")
        self._forget(endpoint)
        endpoint.state = "unreachable"
        self._probes[endpoint] = asyncio.get_running_loop().create_task(self._reach(endpoint))
        self._changed()
        if silent:
            self._down(endpoint)

    async def _reach(self, endpoint: Endpoint) -> None:
        wait = FIRST_PROBE
        while True:
            await asyncio.sleep(wait * random.uniform(1, 1 + JITTER))
            if await health.connects(endpoint):
                break
            wait = min(2 * wait, LAST_PROBE)
        del self._probes[endpoint]
        self._try_again(endpoint)

    def _try_again(self, endpoint: Endpoint) -> None:
        self._timers.pop(endpoint, None)
        endpoint.state = "trial"
        endpoint.since = self._now()
        endpoint.old = endpoint.in_flight
        self.trials[endpoint] = None
        self._changed()

    def _forget(self, endpoint: Endpoint) -> None:
        """End what goes on about it."""
        timer, probe = self._timers.pop(endpoint, None), self._probes.pop(endpoint, None)
        if timer is not None:
            timer.cancel()
        if probe is not None:
            probe.cancel()
        self.trials.pop(endpoint, None)

    def _grow(self) -> None:
        now = self._now()
        for endpoint, since in list(self._starting.items()):
            share = 1 / (STEPS + 1) + (now - since) / self._slow_start * STEPS / (STEPS + 1)
            endpoint.share = min(1.0, share)
            if share >= 1.0 - 1e-6:
                endpoint.share = 1.0
                del self._starting[endpoint]
        self._step = None
        if self._starting:
            self._step = asyncio.get_running_loop().call_later(self._slow_start / STEPS, self._grow)
        self._changed()

    def __repr__(self) -> str:
        return (
            f"<Standing {len(self._timers)} ejected, {len(self._probes)} unreachable, {len(self.trials)} on trial, "
            f"{len(self._starting)} starting>"
        )


_WHY: Final = {
    "failures": "it fails",
    "error_share": "it fails too often",
    "slow": "it is far slower than the others",
    "retry_after": "it asks to be",
    "trial": "it fails still",
}
