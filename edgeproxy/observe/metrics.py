"""Counters, gauges and histograms of one process, and their sum over all workers.

A process only counts: :meth:`Metrics.dump` gives plain lists and numbers that pass through the bus as JSON. The
supervisor adds the dumps up (:func:`merge`) and writes them as Prometheus text (:func:`render`). Every metric has a
bound on its label sets; what comes after that is counted under ``_other``.
"""

from __future__ import annotations

import re
import weakref
from bisect import bisect_left
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from inspect import ismethod
from itertools import accumulate
from typing import TYPE_CHECKING, Any, Literal, TypedDict, TypeVar

if TYPE_CHECKING:
    from prometheus_client.core import Metric

OTHER = "_other"
SERIES = 500

# Seconds; from a memory hit to an answer somebody gave up waiting for.
DURATIONS: tuple[float, ...] = (
    0.0001,
    0.0005,
    0.001,
    0.005,
    0.01,
    0.025,
    0.05,
    0.1,
    0.25,
    0.5,
    1.0,
    2.5,
    5.0,
    10.0,
    30.0,
    60.0,
)

Labels = tuple[str, ...]
Reader = Callable[[], Iterable[tuple[Labels, float]]]
Merging = Literal["sum", "max", "min"]

_NAME = re.compile(r"[a-z_][a-z0-9_]*")
_MERGE: dict[Merging, Callable[[float, float], float]] = {"sum": lambda a, b: a + b, "max": max, "min": min}


class Family(TypedDict):
    """One metric with all its label sets, as JSON carries it.

    A series is ``[labels, numbers]``: one number, or for a histogram the count of each bucket (not cumulated; the last
    is +Inf) and then the sum.
    """

    name: str
    type: Literal["counter", "gauge", "histogram"]
    help: str
    labels: list[str]
    buckets: list[float]
    merge: Merging
    series: list[tuple[list[str], list[float]]]


Dump = list[Family]


class Counter:
    """A number for each label set that only grows."""

    def __init__(self, name: str, help: str, labels: Labels, limit: int) -> None:  # noqa: A002 -- Prometheus' own word
        self.name = name
        self.help = help
        self.labels = labels
        self.limit = limit
        self._values: dict[Labels, list[float]] = {} if labels else {(): [0]}

    def inc(self, *labels: str, by: float = 1) -> None:
        try:
            self._values[labels][0] += by
        except KeyError:
            self.cell(*labels)[0] += by

    def cell(self, *labels: str) -> list[float]:
        """The live number of one label set, in a list of its own, for whoever counts at every request."""
        cell = self._values.get(labels)
        if cell is None:
            labels = _bounded(self, labels, self._values)
            cell = self._values.setdefault(labels, [0])
        return cell

    def value(self, *labels: str) -> float:
        cell = self._values.get(labels)
        return 0 if cell is None else cell[0]

    def dump(self) -> Family:
        series = [(list(labels), list(cell)) for labels, cell in self._values.items()]
        return _family(self, "counter", series)

    def __repr__(self) -> str:
        return f"<Counter {self.name} {self._values!r}>"


class Histogram:
    """How many observations fell into each bucket, and their sum."""

    def __init__(self, name: str, help: str, labels: Labels, buckets: Sequence[float], limit: int) -> None:  # noqa: A002
        self.name = name
        self.help = help
        self.labels = labels
        self.buckets = tuple(buckets)
        self.limit = limit
        self._values: dict[Labels, list[float]] = {}

    def observe(self, value: float, *labels: str) -> None:
        cells = self.cells(labels)
        cells[bisect_left(self.buckets, value)] += 1
        cells[-1] += value

    def cells(self, labels: Labels) -> list[float]:
        """The live numbers of one label set, for loops that observe many: a count a bucket, +Inf, the sum."""
        cells = self._values.get(labels)
        if cells is None:
            labels = _bounded(self, labels, self._values)
            cells = self._values.setdefault(labels, [0] * (len(self.buckets) + 1) + [0.0])
        return cells

    def dump(self) -> Family:
        series = [(list(labels), list(cells)) for labels, cells in self._values.items()]
        return _family(self, "histogram", series, buckets=self.buckets)

    def __repr__(self) -> str:
        return f"<Histogram {self.name} {self._values!r}>"


class Gauge:
    """Numbers read when somebody asks; several readers' numbers for one label set are merged like workers' are."""

    def __init__(self, name: str, help: str, labels: Labels, limit: int, merge: Merging) -> None:  # noqa: A002
        self.name = name
        self.help = help
        self.labels = labels
        self.merge = merge
        self.limit = limit
        self._readers: list[Callable[[], Reader | None]] = []

    def add(self, read: Reader) -> Callable[[], None]:
        """Take a reader in; the function returned takes it out. A bound method is held weakly."""
        reference: Callable[[], Reader | None] = weakref.WeakMethod(read) if ismethod(read) else lambda: read
        self._readers.append(reference)

        def remove() -> None:
            if reference in self._readers:
                self._readers.remove(reference)

        return remove

    def dump(self) -> Family:
        values: dict[Labels, float] = {}
        combine = _MERGE[self.merge]
        self._readers = [reference for reference in self._readers if reference() is not None]
        for labels, value in self._read():
            labels = _bounded(self, labels, values)
            values[labels] = combine(values[labels], value) if labels in values else value
        return _family(self, "gauge", [(list(labels), [value]) for labels, value in values.items()], merge=self.merge)

    def _read(self) -> Iterator[tuple[Labels, float]]:
        for reference in self._readers:
            read = reference()
            if read is not None:
                yield from read()

    def __repr__(self) -> str:
        return f"<Gauge {self.name}>"


_M = TypeVar("_M", Counter, Gauge, Histogram)


class Metrics:
    """The metrics of one process, by name. Asking again for a name gives the same object."""

    def __init__(self) -> None:
        self._metrics: dict[str, Counter | Gauge | Histogram] = {}
        self._observed = self.counter(
            "edgeproxy_observed_total", "Answers that stages in observe mode would have given.", ("stage",)
        )

    def counter(self, name: str, help: str, labels: Labels = (), *, limit: int = SERIES) -> Counter:  # noqa: A002
        present = self._present(name, labels, Counter)
        if present is None:
            present = self._metrics[name] = Counter(name, help, labels, limit)
        return present

    def gauge(
        self,
        name: str,
        help: str,  # noqa: A002
        labels: Labels,
        read: Reader,
        *,
        merge: Merging = "sum",
        limit: int = SERIES,
    ) -> Callable[[], None]:
        """Have ``read`` asked at each scrape; the function returned ends that. A bound method is held weakly, so that
        what a reload dropped ends by itself."""
        present = self._present(name, labels, Gauge)
        if present is None:
            present = self._metrics[name] = Gauge(name, help, labels, limit, merge)
        return present.add(read)

    def histogram(
        self,
        name: str,
        help: str,  # noqa: A002
        labels: Labels = (),
        buckets: Sequence[float] = DURATIONS,
        *,
        limit: int = SERIES,
    ) -> Histogram:
        present = self._present(name, labels, Histogram)
        if present is None:
            present = self._metrics[name] = Histogram(name, help, labels, sorted(buckets), limit)
        return present

    def observed(self, stage: str) -> Callable[[], None]:
        """Counts one answer that ``stage``, in observe mode, would have given."""
        count = self._observed

        def would_answer() -> None:
            count.inc(stage)

        return would_answer

    def dump(self) -> Dump:
        return [metric.dump() for metric in self._metrics.values()]

    def _present(self, name: str, labels: Labels, kind: type[_M]) -> _M | None:
        present = self._metrics.get(name)
        if present is None:
            if not all(_NAME.fullmatch(word) for word in (name, *labels)):
                raise ValueError(f"{name!r} {labels!r} cannot be a metric's name and labels")
            return None
        if not isinstance(present, kind) or present.labels != labels:
            raise ValueError(f"metric {name!r} is there already as {present!r}, with labels {present.labels!r}")
        return present


def merge(dumps: Iterable[Dump]) -> Dump:
    """The sum over processes. A family whose kind, labels or buckets differ from the first one's is left out."""
    merged: dict[str, Family] = {}
    numbers: dict[str, dict[Labels, list[float]]] = {}
    for dump in dumps:
        for family in dump:
            first = merged.setdefault(family["name"], family)
            if any(first[key] != family[key] for key in ("type", "labels", "buckets", "merge")):
                continue
            combine = _MERGE[family["merge"]]
            into = numbers.setdefault(family["name"], {})
            for labels, values in family["series"]:
                present = into.get(tuple(labels))
                into[tuple(labels)] = list(values) if present is None else list(map(combine, present, values))
    return [
        family | {"series": [(list(labels), values) for labels, values in numbers[name].items()]}
        for name, family in merged.items()
    ]


def lasting(dump: Dump) -> Dump:
    """What still counts when the process of this dump is gone: a gauge tells of now, the others of ever since."""
    return [family for family in dump if family["type"] != "gauge"]


def render(dump: Dump) -> bytes:
    """Prometheus text exposition, version 0.0.4."""
    from prometheus_client import CollectorRegistry, generate_latest

    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Families(dump))
    return generate_latest(registry)


class _Families:
    """A dump, as prometheus_client wants to be given it."""

    def __init__(self, dump: Dump) -> None:
        self._dump = dump

    def describe(self) -> list[Metric]:
        return []

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, HistogramMetricFamily

        for family in self._dump:
            name, text, labels = family["name"], family["help"], family["labels"]
            if family["type"] == "histogram":
                histogram = HistogramMetricFamily(name, text, labels=labels)
                for values, cells in family["series"]:
                    histogram.add_metric(values, _cumulated(family["buckets"], cells), cells[-1])
                yield histogram
                continue
            kind = CounterMetricFamily if family["type"] == "counter" else GaugeMetricFamily
            metric = kind(name, text, labels=labels)
            for values, (value,) in family["series"]:
                metric.add_metric(values, value)
            yield metric


def _cumulated(buckets: Sequence[float], cells: Sequence[float]) -> list[tuple[str, float]]:
    from prometheus_client.utils import floatToGoString

    bounds = [*map(floatToGoString, buckets), "+Inf"]
    return list(zip(bounds, accumulate(cells[:-1]), strict=True))


def _bounded(metric: Counter | Gauge | Histogram, labels: Labels, present: Mapping[Labels, Any]) -> Labels:
    """The label set to count under: this one, or ``_other`` when the metric is full."""
    if len(labels) != len(metric.labels):
        raise ValueError(f"metric {metric.name} has labels {metric.labels!r}, was given {labels!r}")
    return labels if labels in present or len(present) < metric.limit else (OTHER,) * len(labels)


def _family(
    metric: Counter | Gauge | Histogram,
    kind: Literal["counter", "gauge", "histogram"],
    series: list[tuple[list[str], list[float]]],
    *,
    buckets: Sequence[float] = (),
    merge: Merging = "sum",
) -> Family:
    return {
        "name": metric.name,
        "type": kind,
        "help": metric.help,
        "labels": list(metric.labels),
        "buckets": list(buckets),
        "merge": merge,
        "series": series,
    }
