"""Which page is asked for next: how often pages of one visit follow each other, as a graph from paths to paths.

What ships is fitted to the log of a site that does not exist, made here, so that the way from log to answer can be
seen and measured; `edgeproxy models fit` makes a node its own.
"""

from __future__ import annotations

import re
from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgeproxy.features.log import Record
from edgeproxy.tensors import ANY, Spec
from edgeproxy.training.graph import Graph, run
from edgeproxy.training.shelf import Quality, Trained

Array = npt.NDArray[Any]
Visit = list[str]  # paths, in the order they were asked for

BEFORE: Final = 4  # pages of a visit that are looked at
TOLD: Final = 8
PAGES: Final = Spec("pages", "BYTES", (ANY, BEFORE))
OUTPUTS: Final = (Spec("next", "BYTES", (ANY, TOLD)), Spec("share", "FP32", (ANY, TOLD)))
RECENCY: Final = np.array([[8], [4], [2], [1]], np.float32)  # what a page counts for: the newest first
AHEAD: Final = np.array([1, 0.3, 0.1])  # what counts as following a page: the next one, that after it, ...
DOUBT: Final = 2.0  # visits' worth of knowing nothing, for pages that were seen seldom

# Bounds, for logs of any size.
MOST_PAGES: Final = 600
MOST_VISITS: Final = 100_000
MOST_CLIENTS: Final = 20_000  # visits that are under way at a time
LONGEST_VISIT: Final = 100
LONGEST_PATH: Final = 256
PAUSE: Final = 1800.0  # seconds; after that it is another visit

FEWEST: Final = 20  # visits
MEASURE: Final = "the next page is among 4"
NO_PAGE: Final = re.compile(
    r"\.(?:avif|bmp|css|csv|eot|gif|gz|ico|jpe?g|js|json|map|mjs|mp[34]|otf|pdf|png|svg|ttf|txt|wasm|web[mp]|woff2?|xml"
    r"|zip)$",
    re.IGNORECASE,
)


def fit(rows: Iterable[Record], seed: int, progress: Callable[[str], None]) -> Trained:
    """The file, the same whatever the seed. Raises ValueError where the records hold too few visits."""
    found = list(visits(rows))
    progress(f"{len(found)} visits of two pages or more")
    if len(found) < FEWEST:
        raise ValueError(f"{len(found)} visits of two pages or more are too few to learn from; {FEWEST} are needed")
    model = exported(found)
    return Trained(model, {"visits trained on": len(found)}, sample(model))


def score(model: bytes, rows: Iterable[Record]) -> Quality:
    """How often the page asked for next was among those told."""
    questions, answers = asked(visits(rows))
    if not len(answers):
        return {"next pages held out": 0}
    told = run(model, {"pages": questions})["next"]
    found = {most: round(float((told[:, :most] == answers).any(axis=1).mean()), 3) for most in (1, 4, 8)}
    return {
        "next pages held out": len(answers),
        "the next page is the first told": found[1],
        MEASURE: found[4],
        "the next page is among 8": found[8],
    }


def train(seed: int) -> Trained:
    """Fitted to the first four fifths of the log of a site that does not exist."""
    rows = list(imagined(np.random.default_rng(seed)))
    older, newer = rows[: len(rows) * 4 // 5], rows[len(rows) * 4 // 5 :]
    trained = fit(older, seed, print)
    most = [path for path, _ in Counter(page(record) for record in older).most_common(4)]
    _, answers = asked(visits(newer))
    popular = {f"{MEASURE}, those asked for most": round(float(np.isin(answers, most).mean()), 3)}
    return trained._replace(quality=trained.quality | score(trained.model, newer) | popular)


def sample(model: bytes) -> dict[str, Any]:
    """What is answered where nothing is known: shares of nothing."""
    answer = run(model, {"pages": np.full((1, BEFORE), "", object)})
    return {
        "inputs": {"pages": [""] * BEFORE},
        "outputs": {"share": [round(float(value), 4) for value in answer["share"].ravel()]},
    }


# From a log to visits.


def visits(rows: Iterable[Record]) -> Iterator[Visit]:
    """Of two pages or more, in the order they ended; MOST_VISITS at most."""
    under_way: OrderedDict[tuple[str, str], tuple[float, Visit]] = OrderedDict()
    told = 0
    for record in rows:
        path = page(record)
        if not path or told >= MOST_VISITS:
            continue
        who = record.client, record.user_agent
        since, visit = under_way.pop(who, (record.time, []))
        if record.time - since > PAUSE or len(visit) >= LONGEST_VISIT:
            told += len(visit) > 1
            yield from [visit] if len(visit) > 1 else []
            visit = []
        if not visit or visit[-1] != path:
            visit.append(path)
        under_way[who] = record.time, visit
        if len(under_way) > MOST_CLIENTS:
            _, (_, visit) = under_way.popitem(last=False)
            told += len(visit) > 1
            yield from [visit] if len(visit) > 1 else []
    yield from (visit for _, visit in list(under_way.values())[: MOST_VISITS - told] if len(visit) > 1)


def page(record: Record) -> str:
    """The path of a page somebody looked at; "" for anything else. Queries name people and searches: they stay out."""
    path = record.target.partition("?")[0]
    wanted = record.method == "GET" and record.status in {200, 304} and path.startswith("/")
    return path if wanted and len(path) <= LONGEST_PATH and not NO_PAGE.search(path) else ""


def asked(found: Iterable[Visit]) -> tuple[Array, Array]:
    """The last pages before each page of each visit, newest first, and that page: object[n, BEFORE], object[n, 1]."""
    questions, answers = [], []
    for visit in found:
        for place in range(1, len(visit)):
            before = visit[max(0, place - BEFORE) : place][::-1]
            questions.append(before + [""] * (BEFORE - len(before)))
            answers.append([visit[place]])
    return np.array(questions, object), np.array(answers, object)


# From visits to a graph.


def exported(known: list[Visit]) -> bytes:
    """Paths in, the paths that mostly follow out, with their shares."""
    names = [path for path, _ in Counter(page for visit in known for page in visit).most_common(MOST_PAGES)]
    names += [f"/…{place}" for place in range(TOLD - len(names))]  # a site smaller than what is told
    graph = Graph("recommender", [PAGES])
    places = graph.add(
        "LabelEncoder", "pages", domain="ai.onnx.ml", keys_strings=names, values_int64s=list(range(len(names))),
        default_int64=len(names),
    )  # fmt: skip
    rows = graph.add("Gather", following(known, names), places)
    seen = graph.add("Cast", graph.add("Less", places, np.int64(len(names))), to=1)
    weights = graph.add("Mul", graph.add("Unsqueeze", seen, np.array([2])), RECENCY)
    total = graph.add("Max", graph.add("ReduceSum", weights, np.array([1]), keepdims=0), np.float32(1))
    summed = graph.add("ReduceSum", graph.add("Mul", rows, weights), np.array([1]), keepdims=0)
    graph.add_many("TopK", [graph.add("Div", summed, total), np.array([TOLD])], ["share", "best"], axis=1)
    graph.add("Gather", np.array(names, object), "best", output="next")
    return graph.model(OUTPUTS)


def following(known: Iterable[Visit], names: list[str]) -> Array:
    """The share of what follows each page; a last row of zeros for pages that are not known."""
    places = {path: place for place, path in enumerate(names)}
    counts = np.zeros((len(names) + 1, len(names)))
    for visit in known:
        path = [places.get(page, -1) for page in visit]
        for first, here in enumerate(path):
            for weight, there in zip(AHEAD, path[first + 1 :], strict=False):
                if here >= 0 <= there and here != there:
                    counts[here, there] += weight
    return (counts / (counts.sum(axis=1, keepdims=True) + DOUBT)).astype(np.float32)


# The log of a site that does not exist: a home page, sections, articles that name two others of their section.

SECTIONS, ARTICLES, VISITS, WEEK = 10, 14, 6000, 604_800


def imagined(rng: np.random.Generator) -> Iterator[Record]:
    """Visits over a week, each on its own from beginning to end."""
    by_section = 1 / np.arange(1, SECTIONS + 1)
    by_article = 1 / np.arange(1, ARTICLES + 1) ** 0.8
    begun = np.sort(rng.uniform(0, WEEK, VISITS))
    for number, time in enumerate(begun):
        client, section, article = f"192.0.2.{number % 256}", rng.choice(SECTIONS, p=by_section / by_section.sum()), -1
        where = "/" if rng.random() < 0.6 else f"/section-{section}/"
        for _ in range(LONGEST_VISIT):
            yield Record(float(time), client, "GET", where, 200, 1000, user_agent=f"visitor {number}")
            time, chance = time + rng.exponential(40), rng.random()
            if chance < 0.2:
                break
            if where == "/":
                where = f"/section-{section}/"
            elif article < 0 or chance > 0.9:
                article = int(rng.choice(ARTICLES, p=by_article / by_article.sum()))
                where = f"/section-{section}/article-{article}"
            elif chance < 0.75:
                article = (article * 5 + (3 if chance < 0.55 else 8)) % ARTICLES
                where = f"/section-{section}/article-{article}"
            else:
                where, article = f"/section-{section}/", -1
