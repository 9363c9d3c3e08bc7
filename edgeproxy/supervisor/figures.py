"""What a dump of metrics says about the traffic: plain numbers for the live page and the terminal. Pure."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate
from operator import add, sub
from typing import Any, NamedTuple

from edgeproxy.observe.analytics import NO_HIT, NONE
from edgeproxy.observe.metrics import Dump, Labels

Series = dict[Labels, list[float]]

REQUESTS = "edgeproxy_requests_total"  # route, method, status, cache
DURATIONS = "edgeproxy_request_duration_seconds"  # route, cache
BODY_BYTES = "edgeproxy_response_body_bytes_total"  # route
ERRORS = "edgeproxy_errors_total"  # kind
ANSWERS = "edgeproxy_cache_answers_total"  # route, tier, type
ANSWER_BYTES = "edgeproxy_cache_answer_bytes_total"
EVICTIONS = "edgeproxy_cache_evictions_total"  # tier
EVICTED_AGES = "edgeproxy_cache_evicted_age_seconds"

# Gauges, what they tell, and the tier where no label names it.
_HELD = {
    "edgeproxy_cache_bytes": ("bytes", ""),
    "edgeproxy_cache_entries": ("entries", ""),
    "edgeproxy_cache_disk_bytes": ("bytes", "l2"),
    "edgeproxy_cache_disk_entries": ("entries", "l2"),
}

_GROWING = frozenset((REQUESTS, DURATIONS, BODY_BYTES, ERRORS, ANSWERS, ANSWER_BYTES, EVICTIONS, EVICTED_AGES))

_QUANTILES = {"p50": 0.5, "p90": 0.9, "p99": 0.99}
_ROUTE, _TIER, _TYPE = range(3)  # places among the labels of ANSWERS


class Figures(NamedTuple):
    """The numbers of a moment, by metric and label set; ``bounds`` are the upper ones of the histograms' buckets."""

    numbers: dict[str, Series]
    gauges: dict[str, Series]
    bounds: dict[str, list[float]]


class Point(NamedTuple):
    """As little of a moment as a line over time needs: all of it grows. ``durations`` are a histogram's cells."""

    requests: float
    sent: float
    asked: float
    hits: float
    durations: list[float]


def figures(dump: Dump) -> Figures:
    """What of a dump is shown."""
    families = {family["name"]: family for family in dump}
    series = {
        name: {tuple(labels): values for labels, values in family["series"]}
        for name, family in families.items()
        if name in _GROWING or name in _HELD
    }
    return Figures(
        {name: of for name, of in series.items() if name in _GROWING},
        {name: of for name, of in series.items() if name in _HELD},
        {name: families[name]["buckets"] for name in (DURATIONS, EVICTED_AGES) if name in families},
    )


def since(new: Figures, old: Figures) -> Figures:
    """What was added between two moments; the gauges are the newer ones."""
    return new._replace(
        numbers={
            name: {labels: _less(values, old.numbers.get(name, {}).get(labels)) for labels, values in series.items()}
            for name, series in new.numbers.items()
        }
    )


def point(of: Figures) -> Point:
    """The sums over all routes."""
    answers = of.numbers.get(ANSWERS, {})
    return Point(
        _sum(of, REQUESTS),
        _sum(of, BODY_BYTES),
        _sum(of, ANSWERS),
        sum(values[0] for labels, values in answers.items() if labels[_TIER] not in NO_HIT),
        _cells(of, DURATIONS, ()),
    )


def rates(new: Point, old: Point, seconds: float, bounds: Sequence[float]) -> dict[str, Any]:
    """Requests and bytes a second, the hit ratio and percentiles of the latency in seconds between two moments; None
    for what there was nothing to tell of."""
    asked, cells = new.asked - old.asked, _less(new.durations, old.durations)
    return {
        "requests": (new.requests - old.requests) / seconds,
        "bytes": (new.sent - old.sent) / seconds,
        "hit_ratio": _ratio(new.hits - old.hits, asked),
        "latency": {name: quantile(share, bounds, cells) for name, share in _QUANTILES.items()},
    }


def breakdown(of: Figures) -> dict[str, Any]:
    """Answers by status, error, tier, type and route, the reasons of misses, and what was evicted. Where answers are
    split, each part has ``requests``, ``hits``, ``bytes`` and ``hit_bytes``."""
    parts = {name: _parts(of, place) for name, place in (("tiers", _TIER), ("types", _TYPE), ("routes", _ROUTE))}
    hits, asked, hit_bytes, sent = (
        sum(part[key] for part in parts["tiers"].values()) for key in ("hits", "requests", "hit_bytes", "bytes")
    )
    misses = _by(of, REQUESTS, lambda labels: labels[3])
    return {
        "requests": _sum(of, REQUESTS),
        "bytes": _sum(of, BODY_BYTES),
        "hit_ratio": _ratio(hits, asked),
        "byte_hit_ratio": _ratio(hit_bytes, sent),
        "statuses": _by(of, REQUESTS, lambda labels: labels[2]),
        "errors": _by(of, ERRORS, lambda labels: labels[0]),
        **parts,
        "misses": {reason: number for reason, number in misses.items() if reason not in {"hit", NONE}},
        "evictions": {
            tier: {"number": number, "median_age": quantile(0.5, *_ages(of, tier))}
            for tier, number in _by(of, EVICTIONS, lambda labels: labels[0]).items()
        },
    }


def stored(of: Figures) -> dict[str, dict[str, float]]:
    """Bytes and entries by tier."""
    found: dict[str, dict[str, float]] = {}
    for name, (key, only) in _HELD.items():
        for labels, (value,) in of.gauges.get(name, {}).items():
            found.setdefault(only or labels[0], {})[key] = value
    return found


def quantile(share: float, bounds: Sequence[float], cells: Sequence[float]) -> float | None:
    """The value that a share of the observations lies below, taking each bucket for evenly filled; what lies above all
    bounds counts as the last. ``cells`` as in :class:`~edgeproxy.observe.metrics.Family`."""
    cumulated = list(accumulate(cells[: len(bounds) + 1]))
    if not cumulated or not cumulated[-1]:
        return None
    wanted = share * cumulated[-1]
    place = bisect_left(cumulated, wanted)
    if place >= len(bounds):
        return bounds[-1]
    below, beneath = (bounds[place - 1], cumulated[place - 1]) if place else (0.0, 0.0)
    return below + (bounds[place] - below) * (wanted - beneath) / (cumulated[place] - beneath)


def _parts(of: Figures, place: int) -> dict[str, dict[str, float]]:
    found: dict[str, dict[str, float]] = {}
    for metric, all_of, hits_of in ((ANSWERS, "requests", "hits"), (ANSWER_BYTES, "bytes", "hit_bytes")):
        for labels, (value,) in of.numbers.get(metric, {}).items():
            part = found.setdefault(labels[place], dict.fromkeys(("requests", "hits", "bytes", "hit_bytes"), 0.0))
            part[all_of] += value
            part[hits_of] += value * (labels[_TIER] not in NO_HIT)
    return {name: part for name, part in found.items() if part["requests"]}


def _by(of: Figures, metric: str, key: Callable[[Labels], str]) -> dict[str, float]:
    found: dict[str, float] = {}
    for labels, (value,) in of.numbers.get(metric, {}).items():
        if value:
            found[key(labels)] = found.get(key(labels), 0.0) + value
    return found


def _ages(of: Figures, tier: str) -> tuple[list[float], list[float]]:
    return of.bounds.get(EVICTED_AGES, []), _cells(of, EVICTED_AGES, (tier,))


def _cells(of: Figures, metric: str, wanted: Labels) -> list[float]:
    """The sum of a histogram's cells over the series whose labels begin so."""
    series: Iterable[list[float]] = (
        values for labels, values in of.numbers.get(metric, {}).items() if labels[: len(wanted)] == wanted
    )
    total: list[float] = []
    for values in series:
        total = list(map(add, total, values)) if total else list(values)
    return total


def _sum(of: Figures, metric: str) -> float:
    return sum(values[0] for values in of.numbers.get(metric, {}).values())


def _less(values: list[float], before: list[float] | None) -> list[float]:
    return list(map(sub, values, before)) if before else values


def _ratio(part: float, whole: float) -> float | None:
    return part / whole if whole else None
