"""Servers asked in turns for the same pictures, and what it took them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import mean, median

from tests.benchmarks.images.gallery import Original
from tests.benchmarks.images.likeness import Reference
from tests.benchmarks.images.servers import Pictures
from tests.benchmarks.images.tuning import quality_for
from tests.benchmarks.stats import Ratio

Qualities = Mapping[str, int]
"""By picture; 0 for a server's own choice."""


@dataclass(frozen=True, slots=True)
class Batch:
    """Every picture asked for once. CPU and wall seconds a picture; ``memory``: peak KiB of all processes."""

    cpu: float
    seconds: float
    memory: int


@dataclass(frozen=True, slots=True)
class Answers:
    """What a server answers with: bytes and SSIM, by picture."""

    bytes: Mapping[str, int]
    likeness: Mapping[str, float]

    @property
    def mean_bytes(self) -> float:
        return mean(self.bytes.values())

    @property
    def mean_likeness(self) -> float:
        return mean(self.likeness.values())


@dataclass(frozen=True, slots=True)
class Side:
    """One server's share of a comparison."""

    answers: Answers
    batches: tuple[Batch, ...]

    @property
    def cpu(self) -> float:
        return median(batch.cpu for batch in self.batches)

    @property
    def memory(self) -> int:
        return max(batch.memory for batch in self.batches)


@dataclass(frozen=True, slots=True)
class Comparison:
    """Ours at the peer's likeness, the peer at its default, and ours at its own. ``work`` names what was made."""

    work: str
    peer: str
    ours: Side
    theirs: Side
    by_default: Side

    @property
    def cpu(self) -> Ratio:
        return Ratio.of([batch.cpu for batch in self.ours.batches], [batch.cpu for batch in self.theirs.batches])

    @property
    def bytes(self) -> Ratio:
        names = sorted(self.ours.answers.bytes)
        ours, theirs = self.ours.answers, self.theirs.answers
        each = Ratio.of([ours.bytes[name] for name in names], [theirs.bytes[name] for name in names])
        whole = ours.mean_bytes / theirs.mean_bytes
        return Ratio(ours.mean_bytes, theirs.mean_bytes, whole, each.low, each.high)

    @property
    def unlike(self) -> float:
        """How far apart the likenesses of any one picture are."""
        ours, theirs = self.ours.answers.likeness, self.theirs.answers.likeness
        return max(abs(ours[name] - theirs[name]) for name in ours)


class Session:
    """Running servers and the originals; ``ours`` is asked for the likeness of each of ``theirs``."""

    def __init__(
        self,
        originals: Sequence[Original],
        ours: Pictures,
        theirs: Sequence[Pictures],
        rounds: int,
        say: Callable[[str], None],
    ) -> None:
        self.names = [original.name for original in originals]
        self.ours, self.theirs, self.rounds, self.say = ours, theirs, rounds, say
        self._references = {original.name: Reference(original.path) for original in originals}
        self._seen: dict[tuple[str, str, str, int], tuple[int, float]] = {}

    def compare(self, work: str, form: str) -> list[Comparison]:
        """Ours beside every peer in one format. Raises BenchmarkError for any answer that is not a variant."""
        own = dict.fromkeys(self.names, 0)
        answers = {peer.label: self._answers(peer, form, own) for peer in self.theirs}
        tuned = {peer.label: self._tuned(form, answers[peer.label]) for peer in self.theirs}
        default, ours, theirs = [], {label: [] for label in tuned}, {label: [] for label in tuned}
        for number in range(self.rounds):
            default.append(self._batch(self.ours, form, own))
            for peer in self.theirs:
                ours[peer.label].append(self._batch(self.ours, form, tuned[peer.label]))
                theirs[peer.label].append(self._batch(peer, form, own))
                a, b = ours[peer.label][-1].cpu, theirs[peer.label][-1].cpu
                self.say(
                    f"  {work}, {number + 1}/{self.rounds}: {a * 1000:.0f} against {b * 1000:.0f} ms, {peer.label}"
                )
        return [
            Comparison(
                work,
                label,
                Side(self._answers(self.ours, form, qualities), tuple(ours[label])),
                Side(answers[label], tuple(theirs[label])),
                Side(self._answers(self.ours, form, own), tuple(default)),
            )
            for label, qualities in tuned.items()
        ]

    def _tuned(self, form: str, wanted: Answers) -> Qualities:
        """Our quality for each picture that makes it as like as ``wanted``."""
        return {
            name: quality_for(likeness, lambda quality, name=name: self._look(self.ours, name, form, quality)[1])
            for name, likeness in wanted.likeness.items()
        }

    def _answers(self, server: Pictures, form: str, qualities: Qualities) -> Answers:
        seen = {name: self._look(server, name, form, quality) for name, quality in qualities.items()}
        return Answers(
            {name: size for name, (size, _) in seen.items()}, {name: like for name, (_, like) in seen.items()}
        )

    def _look(self, server: Pictures, name: str, form: str, quality: int) -> tuple[int, float]:
        """Bytes and likeness of one answer; each is asked for once."""
        key = (server.label, name, form, quality)
        if key not in self._seen:
            body = server.ask(name, form, quality)
            self._seen[key] = len(body), self._references[name].likeness(body)
        return self._seen[key]

    def _batch(self, server: Pictures, form: str, qualities: Qualities) -> Batch:
        server.reset_memory_peak()
        cpu, started = sum(server.cpu_seconds().values()), time.monotonic()
        for name, quality in qualities.items():
            server.ask(name, form, quality)
        seconds = time.monotonic() - started
        cpu = sum(server.cpu_seconds().values()) - cpu
        return Batch(cpu / len(qualities), seconds / len(qualities), server.memory_kib("VmHWM"))
