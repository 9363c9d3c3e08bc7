"""What every request passes: the limits on how often and how much, asked one after another."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Final

from edgeproxy.http.message import Response
from edgeproxy.limits.gcra import Limiter
from edgeproxy.limits.keys import KeyOf
from edgeproxy.limits.limiter import Counter
from edgeproxy.limits.prices import Prices
from edgeproxy.limits.whom import Whom
from edgeproxy.pipeline.exchange import Exchange

# The answer of the limit at that place in the list, from the seconds to wait.
Refuse = Callable[[int, float], Response]

_LEAST: Final = 1.0  # what must be left of a limit that is charged afterwards


class Limit:
    """One limit, ready to be asked. ``size``: it counts the bytes of answers. ``public``: those it lets through are
    told of it."""

    __slots__ = ("counter", "key", "later", "name", "prices", "public", "size", "whom")

    def __init__(
        self, name: str, counter: Counter, key: KeyOf, whom: Whom, prices: Prices, *, size: bool, public: bool
    ) -> None:
        self.name = name.encode()
        self.counter = counter
        self.key = key
        self.whom = whom
        self.prices = prices
        self.size = size
        self.public = public
        self.later = size or prices.later

    def told(self, arrival: float, now: float) -> bytes:
        """Its item of the RateLimit field: what is left, and the seconds until all of it is back."""
        return b'"%b";r=%d;t=%d' % (self.name, self.counter.available(arrival, now), ceil(max(0.0, arrival - now)))


class Gate:
    """Lets exchanges through one limit that counts everyone's requests in this worker: the most there is to most
    configurations, and the least that can be done for it."""

    __slots__ = ("_key", "_limiter", "_name", "_refuse")

    def __init__(self, name: bytes, limiter: Limiter, key: KeyOf, refuse: Refuse) -> None:
        self._name = name
        self._limiter = limiter
        self._key = key
        self._refuse = refuse

    def enter(self, x: Exchange) -> Response | None:
        arrival = self._limiter.take(self._key(x), x.started)
        if arrival < 0:
            return self._refuse(0, -arrival)
        x.arrival = arrival
        return None

    def told(self, x: Exchange, now: float) -> bytes:
        """The RateLimit field of an exchange's answer, b"" if it was not counted."""
        if not x.arrival:
            return b""
        left = self._limiter.available(x.arrival, now)
        return b'"%b";r=%d;t=%d' % (self._name, left, ceil(max(0.0, x.arrival - now)))


class Gates:
    """Lets exchanges through any limits. All are asked before any counts, so what one refuses is counted by none; the
    one with the longest wait refuses. (Where other processes count too, one of them may be faster in between: then the
    limits in front of the one that refuses have counted it.)"""

    __slots__ = ("_clock", "_limits", "_refuse")

    def __init__(self, limits: list[Limit], refuse: Refuse, clock: Callable[[], float]) -> None:
        self._limits = limits
        self._refuse = refuse
        self._clock = clock

    def enter(self, x: Exchange) -> Response | None:
        """Ask every limit that concerns the exchange, then have it counted by all of them: the request hook."""
        now = x.started
        request = x.request
        alone = len(self._limits) == 1
        asked: list[tuple[int, bytes, float]] = []
        longest, refusing, place = 0.0, -1, -1
        for limit in self._limits:
            place += 1
            cost = 0.0 if limit.size else limit.prices.request(request.method, request.path)
            if (cost == 0.0 and not limit.later) or not (limit.whom.all or limit.whom.concerns(x)):
                continue
            key = limit.key(x)
            if limit.later or not alone:
                wait = limit.counter.wait(key, now, _LEAST if limit.later and cost < _LEAST else cost)
                if wait > longest:
                    longest, refusing = wait, place
            asked.append((place, key, cost))
        if refusing >= 0:
            return self._refuse(refusing, longest)
        counted: list[tuple[int, bytes, float]] = []
        for place, key, cost in asked:
            arrival = self._limits[place].counter.take(key, now, cost)
            if arrival < 0:
                return self._refuse(place, -arrival)
            counted.append((place, key, arrival))
        x.counted = tuple(counted)
        return None

    def told(self, x: Exchange, now: float) -> bytes:
        """The RateLimit field of an exchange's answer, b"" if no public limit counted it."""
        limits = self._limits
        return b", ".join([limits[place].told(arrival, now) for place, _, arrival in x.counted if limits[place].public])

    def settle(self, x: Exchange) -> None:
        """Charge what only the answer shows, of an exchange that was let in: the log hook."""
        counted, x.counted = x.counted, ()
        now = self._clock()
        for place, key, _ in counted:
            limit = self._limits[place]
            cost = float(x.sent) if limit.size else limit.prices.answer(x.status)
            if cost > 0:
                limit.counter.charge(key, now, cost)


def build_gate(limits: list[Limit], refuse: Refuse, clock: Callable[[], float]) -> Gate | Gates:
    """The cheapest gate that can ask these limits; ``clock`` tells monotonic seconds."""
    limit, counter = limits[0], limits[0].counter
    if len(limits) == 1 and isinstance(counter, Limiter) and limit.whom.all and limit.prices.even and not limit.size:
        return Gate(limit.name, counter, limit.key, refuse)
    return Gates(limits, refuse, clock)
