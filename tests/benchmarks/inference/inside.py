"""What the proxy itself says of its models: its metrics, read and subtracted."""

from __future__ import annotations

import urllib.request
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import inf

from prometheus_client.parser import text_string_to_metric_families

_SECONDS = "edgeproxy_inference_seconds"
_ANSWERED = "edgeproxy_inference_total"


@dataclass(frozen=True, slots=True)
class Times:
    """A histogram of seconds: how many took no longer than each bound, and all together."""

    counts: Mapping[float, float] = field(default_factory=lambda: {inf: 0.0})
    sum: float = 0.0

    def __sub__(self, other: Times) -> Times:
        counts = {bound: count - other.counts.get(bound, 0.0) for bound, count in self.counts.items()}
        return Times(counts, self.sum - other.sum)

    def __add__(self, other: Times) -> Times:
        bounds = self.counts.keys() | other.counts.keys()
        counts = {bound: self.counts.get(bound, 0.0) + other.counts.get(bound, 0.0) for bound in sorted(bounds)}
        return Times(counts, self.sum + other.sum)

    @property
    def count(self) -> int:
        return int(self.counts[inf])

    @property
    def mean(self) -> float:
        """Seconds; 0 if there were none."""
        return self.sum / self.count if self.count else 0.0

    def within(self, seconds: float) -> float:
        """The share that took no longer than a bound of the histogram's. Raises KeyError for what is none."""
        return self.counts[seconds] / self.count if self.count else 1.0

    def quantile(self, q: float) -> float:
        """Seconds, as Prometheus' ``histogram_quantile`` has them: spread evenly between two bounds. Infinity beyond
        the last bound; 0 if there were none."""
        wanted, below, lower = q * self.count, 0.0, 0.0
        for bound in sorted(self.counts):
            count = self.counts[bound]
            if count >= wanted and count > below:
                return lower + (bound - lower) * (wanted - below) / (count - below)
            below, lower = count, bound
        return 0.0


@dataclass(frozen=True, slots=True)
class Inside:
    """By model and part (``line``, ``run``); by model and who answered."""

    times: Mapping[tuple[str, str], Times]
    answered: Mapping[tuple[str, str], float]

    def __sub__(self, other: Inside) -> Inside:
        return Inside(
            {key: times - other.times.get(key, Times()) for key, times in self.times.items()},
            {key: count - other.answered.get(key, 0.0) for key, count in self.answered.items()},
        )


def read(text: str) -> Inside:
    """From the metrics as Prometheus reads them, all versions of a model together."""
    times: dict[tuple[str, str], Times] = {}
    answered: dict[tuple[str, str], float] = {}
    for name, labels, value in _samples(text):
        model = labels.get("model", "")
        if name == f"{_SECONDS}_bucket":
            _add(times, (model, labels["part"]), Times({float(labels["le"]): value}))
        elif name == f"{_SECONDS}_sum":
            _add(times, (model, labels["part"]), Times({}, value))
        elif name == _ANSWERED:
            answered[model, labels["by"]] = answered.get((model, labels["by"]), 0.0) + value
    return Inside(times, answered)


def ask(admin_port: int) -> Inside:
    """What the admin listener of a running proxy says now."""
    with urllib.request.urlopen(f"http://127.0.0.1:{admin_port}/metrics", timeout=10) as answer:
        return read(answer.read().decode())


def _samples(text: str) -> Iterable[tuple[str, Mapping[str, str], float]]:
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            yield sample.name, sample.labels, sample.value


def _add(times: dict[tuple[str, str], Times], key: tuple[str, str], more: Times) -> None:
    times[key] = times[key] + more if key in times else more
