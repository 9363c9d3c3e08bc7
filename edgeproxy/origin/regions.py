"""Which region of a pool comes first for a client: by its place, by the time the regions take, by their price."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from statistics import median
from typing import Protocol

from edgeproxy.balance.pace import Pace
from edgeproxy.config.regions import PreferConfig, RegionConfig
from edgeproxy.geo.coordinates import distance, middle
from edgeproxy.pipeline.exchange import Place

LOOK_EVERY = 1.0  # seconds between two comparisons of what regions take
LATELY, ENOUGH = 5.0, 20  # seconds, and requests in them from which on they are what counts
MOST_PLACES = 4_096  # remembered, by country and degree; more are worked out again
NO_DEGREE = 999
FAR = 1e9  # km: where nobody knows


class Timed(Protocol):
    """An endpoint that is measured. ``probe_seconds``: what its checks take, 0 while none has passed. ``requests``: how
    many it was sent; ``pace``: what they took."""

    region: str
    probe_seconds: float
    requests: int
    pace: Pace


class Regions:
    """The order of a pool's regions for each client. ``fit`` gives the endpoints that may take requests."""

    def __init__(
        self, regions: dict[str, RegionConfig], prefer: PreferConfig, fit: Callable[[], Iterable[Timed]]
    ) -> None:
        self._regions = regions
        self._prefer = prefer
        self._fit = fit
        self._orders: dict[tuple[str, int, int], tuple[str, ...]] = {}
        self._look_at = 0.0
        self._seconds: dict[str, float] = {}
        self._slower: tuple[str, ...] = ()
        self._asked: dict[str, tuple[int, float, bool]] = {}

    def order(self, place: Place, now: float) -> tuple[str, ...]:
        """All regions, the one to ask first at the head, for a client at ``place``."""
        if now >= self._look_at and self._prefer.by != "distance":
            self._look_at = now + LOOK_EVERY
            self.compare(now)
        at = place.at
        key = (place.country, NO_DEGREE, NO_DEGREE) if at is None else (place.country, round(at[0]), round(at[1]))
        order = self._orders.get(key)
        if order is None:
            if len(self._orders) >= MOST_PLACES:
                self._orders.clear()
            order = self._orders[key] = self._arranged(place)
        return order

    def kilometres(self, place: Place) -> dict[str, float]:
        """How far from a client each region is; none where the place of either is not known."""
        here = place.at or middle(place.country)
        if here is None:
            return {}
        return {name: distance(here, region.at) for name, region in self._regions.items() if region.at is not None}

    @property
    def seconds(self) -> dict[str, float]:
        """What each region took when they were last compared, as far as it was known."""
        return self._seconds

    def compare(self, now: float) -> None:
        """Find out anew which regions are slower than the best by more than the threshold, their price counted in."""
        self._seconds = self._measured(now)
        best_time = min(self._seconds.values(), default=0.0)
        worth = self._prefer.worth if self._prefer.by == "cost" else 0.0
        scores = {
            name: self._seconds.get(name, best_time) + region.cost * worth for name, region in self._regions.items()
        }
        best, threshold = min(scores.values()), self._prefer.threshold
        slower = [
            name
            for name, score in scores.items()
            # Slower once, slower until it is clearly not: two that differ by about the threshold must not take turns.
            if score > best + (threshold / 2 if name in self._slower else threshold)
        ]
        ranked = tuple(sorted(slower, key=scores.__getitem__))
        if ranked != self._slower:
            self._slower = ranked
            self._orders.clear()

    def _measured(self, now: float) -> dict[str, float]:
        """Seconds by region, as far as known, of all by the same measure: a request takes longer than a check."""
        there: dict[str, list[Timed]] = {}
        for endpoint in self._fit():
            if endpoint.region in self._regions:
                there.setdefault(endpoint.region, []).append(endpoint)
        asked = [self._asked_enough(name, group, now) for name, group in there.items()]
        if all(asked):
            return _known({name: [_answer(each.pace, now) for each in group] for name, group in there.items()})
        return _known({name: [each.probe_seconds for each in group] for name, group in there.items()})

    def _asked_enough(self, name: str, endpoints: list[Timed], now: float) -> bool:
        """Whether a region had so many requests of late that what they took is no chance."""
        requests = sum(endpoint.requests for endpoint in endpoints)
        before, since, enough = self._asked.get(name, (requests, now, False))
        if now - since >= LATELY:
            enough = requests - before >= ENOUGH
            before, since = requests, now
        self._asked[name] = before, since, enough
        return enough

    def _arranged(self, place: Place) -> tuple[str, ...]:
        far = self.kilometres(place)
        rank: dict[str, tuple[bool, int, float]] = {}
        for name, region in self._regions.items():
            late = self._slower.index(name) + 1 if name in self._slower else 0
            rank[name] = (place.country not in region.countries, late, far.get(name, FAR))
        return tuple(sorted(rank, key=rank.__getitem__))  # stable: equal ones as they stand in the file

    def __repr__(self) -> str:
        return f"<Regions {self._prefer.by} {self._seconds}, slower: {', '.join(self._slower) or 'none'}>"


def _answer(pace: Pace, now: float) -> float:
    """What a request takes of the quickest kind that the pool knows, in which the way there shows most."""
    for kind, usual in enumerate(pace.usual.times):
        if usual >= 0:
            return pace.expected(kind, now)
    return 0.0


def _known(seconds: dict[str, list[float]]) -> dict[str, float]:
    """The median of each that has any: one slow endpoint does not make a region slow."""
    known = {name: [each for each in group if each > 0] for name, group in seconds.items()}
    return {name: median(group) for name, group in known.items() if group}
