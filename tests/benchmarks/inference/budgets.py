"""Models on the one core of a worker at the pace of their budgets, each request scored by one, and hits beside them.

Three questions a second times ten come due at the same moments, while browsers ask for hits at half the rate that would
fill the core beside those questions. What is counted: the runs, by the proxy's own metrics; whole answers, by the
client, from when each was due; and what the score costs a hit, by turns with a proxy that scores by rules alone.
"""

from __future__ import annotations

import math
import os
import tempfile
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from statistics import median
from typing import NamedTuple

from tests.benchmarks import heads, load, pace, peers
from tests.benchmarks.errors import BenchmarkError
from tests.benchmarks.inference import inside
from tests.benchmarks.inference.inside import Inside, Times
from tests.benchmarks.inference.scored import SCORE, EdgeproxyScored, EdgeproxyUnscored, copy
from tests.benchmarks.inference.servers import PYTHON, make
from tests.benchmarks.measure import Sample
from tests.benchmarks.pace import Stream
from tests.benchmarks.report import BUDGETS
from tests.benchmarks.rows import KIB, Peer, Row, cpu_per_request
from tests.benchmarks.session import HEADS, Session, work_parent
from tests.benchmarks.stats import Target, quantile
from tests.support import pictures

TARGET = Target(1.0, 0.5)
HITS = "hits"  # the key of their stream and row
PER_SECOND = 10.0  # questions to each model
SCORE_BUDGET = 30.0  # CPU µs a request: what the model looks at, and its run
HIT_BUDGET = 0.050  # seconds
LOADED = 0.5  # of the hits a second that fill what the questions leave of the core
_PICTURES, _WIDTH, _HEIGHT = 16, 640, 480
_SHORT, _LONG = 200, 1_000  # characters of a text
_CONNECTIONS = 16  # of each kind of question
_DOCS = Path(__file__).parents[3] / "docs"


class Asked(NamedTuple):
    """A model that is asked by clients, and how many seconds its runs may take."""

    key: str
    model: str
    name: str
    budget: float
    kind: str


ASKED = (
    Asked("image", "image-classifier", "image: MobileNetV2 1.0 at 224x224 in INT8", 0.050, "image/jpeg"),
    Asked("detector", "object-detector", "detector: SSDLite on MobileNetV2 at 320x320 in INT8", 0.100, "image/jpeg"),
    Asked("text", "language-id", "text: language-id", 0.030, "text/plain; charset=utf-8"),
)
MADE = ("image-classifier", "object-detector")  # where they are measured; the others come with this project
SHIPPED = ("language-id", SCORE)

_RULES = Peer("edgeproxy, scored by its rules alone", EdgeproxyUnscored)
_ROW = Row(f"{BUDGETS}{SCORE}", "scored by a model", _RULES, "/1k/", KIB, Target(2.0, 1.5), ours=EdgeproxyScored)


class Round(NamedTuple):
    """Some seconds of all streams: what the proxy counted meanwhile, and seconds from due to answered by stream,
    infinite for what was answered with something else than 200."""

    inside: Inside
    latencies: Mapping[str, Sequence[float]]
    behind: float


def run(folder: Path, pairs: int, seconds: float) -> list[dict[str, object]]:
    """All rows. A round takes as long as a pair. ``folder``: where models that do not come with this project are made.
    Raises BenchmarkError where a figure cannot be had."""
    peers.ensure()
    make(folder / "models", MADE, PYTHON)
    os.sched_setaffinity(0, {int(load.LOAD_CORE)})
    with tempfile.TemporaryDirectory(prefix="edgeproxy-budgets-", dir=work_parent()) as name:
        work = Path(name)
        copy(MADE, work / "models", folder / "models")
        copy(SHIPPED, work / "models")
        session = Session(work, pairs=pairs, seconds=seconds, say=partial(print, flush=True))
        session.say("what the score costs a hit")
        score = _score(session)
        session.say("questions and hits at once")
        rate, rounds = _rounds(session)
    return rows(score, rate, rounds)


def rows(score: Sequence[float], rate: float, rounds: Sequence[Round]) -> list[dict[str, object]]:
    """As they stand in the JSON file. ``score``: CPU µs a hit of each pair; ``rate``: hits a second."""
    return [*(_model_row(each, rounds) for each in ASKED), _score_row(score, rounds), _hits_row(rate, rounds)]


def paragraphs(text: str) -> list[str]:
    """The pieces of plain text in a Markdown file that are neither short nor long."""
    pieces = (" ".join(piece.split()) for piece in text.split("\n\n"))
    return [piece for piece in pieces if piece[:1].isalpha() and _SHORT <= len(piece) <= _LONG]


def _score(session: Session) -> list[float]:
    """CPU µs a hit that are the model's, of each pair."""
    with session.origin, _server(session, EdgeproxyScored) as ours, _server(session, EdgeproxyUnscored) as peer:
        before = inside.ask(ours.admin_port)
        outcome = session.compare(_ROW, ours, peer)
        scored = _scored(inside.ask(ours.admin_port) - before)
    if scored < (asked := sum(sample.requests for sample in outcome.ours)):
        raise BenchmarkError(f"{SCORE} was asked about {scored:.0f} of {asked} hits")
    return [_cpu(a) - _cpu(b) for a, b in zip(outcome.ours, outcome.peer, strict=True)]


def _scored(counted: inside.Inside) -> float:
    """Requests that have a score of the model's: heads like one before are remembered."""
    return sum(count for (model, _), count in counted.answered.items() if model == SCORE)


def _server(session: Session, kind: type[EdgeproxyScored]) -> EdgeproxyScored:
    return kind(session.work, origin_port=session.origin.port)


def _cpu(sample: Sample) -> float:
    return cpu_per_request(sample, ())


def _rounds(session: Session) -> tuple[float, list[Round]]:
    """Hits a second, and the rounds."""
    questions = _questions()
    seconds = 2 * session.seconds
    rounds = []
    with session.origin, _server(session, EdgeproxyScored) as server:
        work = session.warm(server, _ROW, KIB)
        pace.measure(server.port, questions, 1.0)  # decoders are started by the first picture
        rate = LOADED * _capacity(server, work, questions, session.seconds)
        requests = heads.heads(heads.urls(_ROW.prefix, _ROW.urls), HEADS)
        streams = [Stream(HITS, requests, rate, work.connections), *questions]
        for number in range(session.pairs):
            rounds.append(_round(server, streams, seconds))
            session.say(f"  {number + 1}/{session.pairs}: {_told(rounds[-1])}")
    return rate, rounds


def _capacity(server: EdgeproxyScored, work: load.Load, questions: Sequence[Stream], seconds: float) -> float:
    """Hits a second that fill the core, beside the questions."""
    with ThreadPoolExecutor(1) as beside:
        hits = beside.submit(work.run, server, seconds)
        pace.measure(server.port, questions, seconds)
        result = hits.result()
    return result.requests / result.seconds


def _round(server: EdgeproxyScored, streams: Sequence[Stream], seconds: float) -> Round:
    before = inside.ask(server.admin_port)
    timed = pace.measure(server.port, streams, seconds)
    counted = inside.ask(server.admin_port) - before
    hits = len(timed[HITS].latencies)
    if _scored(counted) < hits:
        raise BenchmarkError(f"{SCORE} was not asked about each of {hits} hits")
    return Round(counted, {name: each.latencies for name, each in timed.items()}, quantile(timed[HITS].behind, 0.99))


def _questions() -> list[Stream]:
    photos = [pictures.encode(pictures.photo(_WIDTH, _HEIGHT, seed), quality=88) for seed in range(_PICTURES)]
    texts = [each.encode() for file in sorted(_DOCS.glob("*.md")) for each in paragraphs(file.read_text("utf-8"))]
    streams = []
    for each in ASKED:
        bodies = photos if each.kind.startswith("image/") else texts
        posts = pace.posts(f"/v2/models/{each.model}/predict", each.kind, bodies, heads.HOST)
        streams.append(Stream(each.key, posts, PER_SECOND, _CONNECTIONS))
    return streams


def _told(round_: Round) -> str:
    ms = (f"{name} {quantile(latencies, 0.99) * 1e3:.1f}" for name, latencies in round_.latencies.items())
    return f"p99 in ms from due to answered: {', '.join(ms)}; hits were sent {round_.behind * 1e3:.1f} late"


def _of(rounds: Sequence[Round], model: str, part: str = "run") -> Times:
    return sum((each.inside.times.get((model, part), Times()) for each in rounds), Times())


def _model_row(asked: Asked, rounds: Sequence[Round]) -> dict[str, object]:
    """What the proxy says of the model's runs, and beside it what a client sees of whole answers."""
    runs, waits = _of(rounds, asked.model), _of(rounds, asked.model, "line")
    p99s = [each.inside.times[asked.model, "run"].quantile(0.99) * 1e3 for each in rounds]
    answers = _pooled(rounds, asked.key)
    detail = [f"p50 {runs.quantile(0.5) * 1e3:.2f}, {runs.within(asked.budget):.1%} of {runs.count} within"]
    if waits.count:
        detail.append(f"in line before it p99 {waits.quantile(0.99) * 1e3:.2f}")
    detail.append(f"whole answers {_figures(answers, (0.5, 0.99))}, {_unanswered(answers)}")
    name = f"{asked.name}: p99 of its runs"
    return _entry(asked.key, name, "ms", runs.quantile(0.99) * 1e3, p99s, asked.budget * 1e3, "; ".join(detail))


def _hits_row(rate: float, rounds: Sequence[Round]) -> dict[str, object]:
    answers = _pooled(rounds, HITS)
    p99s = [quantile(_pooled((each,), HITS), 0.99) * 1e3 for each in rounds]
    name = f"L1 hits, 1 KiB, {rate:,.0f} a second beside all that: p99 of answers"
    detail = f"{_figures(answers, (0.5, 0.95, 0.999))}, {_unanswered(answers)}"
    return _entry(HITS, name, "ms", quantile(answers, 0.99) * 1e3, p99s, HIT_BUDGET * 1e3, detail)


def _score_row(score: Sequence[float], rounds: Sequence[Round]) -> dict[str, object]:
    runs = _of(rounds, SCORE)
    name = f"{SCORE}: what looking at a head and the model cost a hit"
    detail = f"what it said of a head is remembered: {runs.count:,} runs beside the hits below"
    return _entry(SCORE, name, "CPU µs a hit", median(score), score, SCORE_BUDGET, detail)


def _pooled(rounds: Sequence[Round], stream: str) -> list[float]:
    """A stream's latencies. Raises BenchmarkError where too many were not answered to have a p99."""
    latencies = [latency for each in rounds for latency in each.latencies[stream]]
    if math.isinf(quantile(latencies, 0.99)):
        raise BenchmarkError(f"{stream}: {_unanswered(latencies)}")
    return latencies


def _figures(latencies: Sequence[float], quantiles: Sequence[float]) -> str:
    return ", ".join(f"p{100 * q:g} {quantile(latencies, q) * 1e3:.2f}" for q in quantiles)


def _unanswered(latencies: Sequence[float]) -> str:
    return f"{sum(map(math.isinf, latencies))} of {len(latencies):,} unanswered"


def _entry(
    key: str, name: str, unit: str, ours: float, rounds: Sequence[float], budget: float, detail: str
) -> dict[str, object]:
    ratio = ours / budget
    return {
        "key": f"{BUDGETS}{key}",
        "name": name,
        "unit": unit,
        "peer": "budget",
        "ours": round(ours, 2),
        "peer_value": budget,
        "ratio": round(ratio, 3),
        "ratio_min": round(min(rounds) / budget, 3),
        "ratio_max": round(max(rounds) / budget, 3),
        "must": TARGET.must,
        "aim": TARGET.aim,
        "reached": TARGET.reached(ratio),
        "pairs": len(rounds),
        "detail": detail,
    }
