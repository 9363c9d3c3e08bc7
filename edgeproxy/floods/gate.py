"""What every request passes: it is counted, and while there is an alarm treated as its state says."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.floods.clients import Clients
from edgeproxy.floods.worst import Worst
from edgeproxy.http.addresses import network
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import NOWHERE, Exchange
from edgeproxy.pipeline.memo import Memo

ROUTES_MOST: Final = 256
COUNTRIES_MOST: Final = 250
CALM_SAMPLE: Final = 31  # of usual requests, one in 32 is looked at closely; both are one less than a power of two
SURGE_SAMPLE: Final = 3  # of a surge's, one in four
SHED: Final = "only what is stored is served during a flood"


class Tally:
    """What this process has counted of one scope ever since, and the alarm that holds for it."""

    __slots__ = ("alarm", "clients", "errors", "misses", "name", "requests")

    def __init__(self, name: str) -> None:
        self.name = name
        self.alarm = 0
        self.requests = 0
        self.clients = 0
        self.errors = 0
        self.misses = 0


class Visitor:
    """A client: what stands for it in the table, the look in which it was met last, whether it was known before the
    surge."""

    __slots__ = ("key", "known", "met", "network")

    def __init__(self, key: int, network: bytes) -> None:
        self.key = key
        self.network = network
        self.met = -1
        self.known = True


class Measures:
    """What is done in one state. ``unknown``: with clients that were not here before: pass, limit, challenge, refuse;
    ``origin``: whose requests may go to the origin: everybody, known, nobody; ``worst``: whether fingerprints of the
    surge are refused."""

    __slots__ = ("origin", "unknown", "worst")

    def __init__(self, unknown: str, origin: str, *, worst: bool) -> None:
        self.unknown = unknown
        self.origin = origin
        self.worst = worst


class Gate:
    """``measures`` are those of each state. ``refuse`` makes the answer for whom a measure turns away. Without
    ``enforced`` nobody is treated, and what would be refused is told to the caller alone."""

    def __init__(
        self,
        clients: Clients,
        worst: Worst,
        measures: tuple[Measures, ...],
        now: Callable[[], float],
        refuse: Callable[[], Response],
        *,
        enforced: bool,
        retry_after: bytes,
    ) -> None:
        self._clients = clients
        self._worst = worst
        self._measures = measures
        self._now = now
        self._refuse = refuse
        self._enforced = enforced
        self._retry_after = retry_after
        self._samples: bool = any(measure.worst for measure in measures)
        self._visitors: Memo[str, Visitor] = Memo(self._introduce, 16_384)
        self.others = Tally("")  # routes beyond the bound: they count for the node alone
        self.routes: dict[str, Tally] = {}
        self.countries: dict[str, Tally] = {}
        self.look = 0  # a new one has every client met again
        self.surge = 0.0  # since when there is an alarm anywhere, monotonic seconds; 0.0 if there is none

    def count(self, x: Exchange) -> Response | None:
        """Count the request; during an alarm, treat it."""
        tally = self.routes.get(x.route.name)
        if tally is None:
            tally = self._open(x.route.name)
        tally.requests += 1
        alarm = tally.alarm
        visitor = self._visitors[x.client]
        new = visitor.met != self.look and self._meet(visitor)
        if new:
            tally.clients += 1
        if x.place is not NOWHERE:
            country = self._country(x)
            if country is not None:
                country.requests += 1
                if new:
                    country.clients += 1
                if country.alarm > alarm:
                    alarm = country.alarm
        if alarm == 0:
            if self._samples and tally.requests & CALM_SAMPLE == 0:
                self._worst.note(_fingerprints(x, visitor), surge=False)
            return None
        return self._treat(x, visitor, alarm, tally)

    def shed(self, x: Exchange) -> Response | None:
        """Count a request for the origin; refuse it where a measure spares the origin. Raises EdgeError, for which a
        stale answer may stand in."""
        tally = self.routes.get(x.route.name)
        if tally is None:
            return None
        tally.misses += 1
        alarm = tally.alarm
        country = self._country(x)
        if country is not None:
            country.misses += 1
            if country.alarm > alarm:
                alarm = country.alarm
        if alarm == 0:
            return None
        origin = self._measures[alarm].origin
        if origin == "everybody" or (origin == "known" and self._is_known(x, self._visitors[x.client])):
            return None
        if not self._enforced:
            return self._refuse()
        raise EdgeError(Kind.OVERLOADED, "origin", SHED)

    def answered(self, x: Exchange, response: Response) -> None:
        """Count what came of a request that was not answered from the cache."""
        if response.status < 500:
            return
        if x.error == Kind.OVERLOADED.value:
            response.set(b"retry-after", self._retry_after)
            return  # our own doing says nothing of an attack
        tally = self.routes.get(x.route.name)
        if tally is not None:
            tally.errors += 1
        country = self._country(x)
        if country is not None:
            country.errors += 1

    def _treat(self, x: Exchange, visitor: Visitor, alarm: int, tally: Tally) -> Response | None:
        measure = self._measures[alarm]
        if self._samples and tally.requests & SURGE_SAMPLE == 0:
            self._worst.note(_fingerprints(x, visitor), surge=True)
        if self._enforced:
            x.alarm = alarm
        if self._is_known(x, visitor):
            return None
        if measure.worst and self._worst.refused and not self._worst.refused.isdisjoint(_fingerprints(x, visitor)):
            return self._refuse()
        unknown = measure.unknown
        if unknown == "refuse":
            return self._refuse()
        if self._enforced and (unknown == "challenge" or (unknown == "limit" and not x.treatment)):
            x.treatment = unknown
        return None

    def _is_known(self, x: Exchange, visitor: Visitor) -> bool:
        return visitor.known or x.cleared or x.identity != "" or x.agent != "" or x.client == ""

    def _meet(self, visitor: Visitor) -> bool:
        """The client's first request of a look; whether it was not here before. Who comes during a surge is not
        remembered for it."""
        visitor.met = self.look
        if self.surge == 0.0:
            return self._clients.meet(visitor.key, self._now())
        visitor.known = self._clients.known(visitor.key, self.surge)
        return not visitor.known

    def _open(self, route: str) -> Tally:
        if len(self.routes) >= ROUTES_MOST:
            return self.others
        tally = self.routes[route] = Tally("route:" + route)
        return tally

    def _country(self, x: Exchange) -> Tally | None:
        code = x.place.country
        if not code:
            return None
        tally = self.countries.get(code)
        if tally is None and len(code) == 2 and len(self.countries) < COUNTRIES_MOST:
            tally = self.countries[code] = Tally("country:" + code)
        return tally

    def _introduce(self, client: str) -> Visitor:
        return Visitor(self._clients.key(client), network(client, 24, 48).encode())

    def __repr__(self) -> str:
        return f"<Gate {len(self.routes)} routes, {len(self.countries)} countries, look {self.look}>"


def _fingerprints(x: Exchange, visitor: Visitor) -> tuple[bytes, bytes]:
    """The network asked from, and the way it is asked: the hello, the fields' order and the agent's word."""
    tls = x.peer.tls
    ja4 = "" if tls is None else tls.ja4
    agent = x.request.headers.get(b"user-agent", b"")[:256]
    return visitor.network, b"%b\0%b\0%b" % (ja4.encode(), x.shape.encode(), agent)
