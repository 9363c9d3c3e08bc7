"""How likely it is that a program asks: a small network over ``head/1``, trained on agents from lists in captured
heads.

Families of agents, libraries and settings of browsers are held out whole, so that the figures are about what the model
has not seen. The probability is for as many programs as browsers.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
from sklearn.exceptions import ConvergenceWarning
from sklearn.feature_extraction.text import HashingVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import roc_auc_score
from sklearn.neural_network import MLPClassifier

from edgeproxy.features.head import LENGTH, NUMBERS, WORDS, vector
from edgeproxy.http.message import Request
from edgeproxy.tensors import ANY, Spec
from edgeproxy.training import heads
from edgeproxy.training.graph import Graph, run
from edgeproxy.training.heads import Agent, Head
from edgeproxy.training.shelf import Quality, Trained

Array = npt.NDArray[Any]

HERE: Final = Path(__file__).parent
FEATURES: Final = Spec("features", "FP32", (ANY, LENGTH))
PROBABILITY: Final = Spec("probability", "FP32", (ANY, 1))
HELD_OUT: Final = 0.3  # of the families, libraries and settings; half as much is for calibrating
HIDDEN: Final = 24
FORGOTTEN: Final = 0.4  # of an agent's words, in copies to train on: names that are known must not be all that counts

BROWSERS_EACH: Final = 12  # heads for each browser's agent
CRAWLERS_EACH: Final = 4
LIARS: Final = 5_000
HEADLESS: Final = 3_000

KEYWORDS: Final = re.compile(
    rb"bot|crawl|spider|scrap|fetch|http|curl|wget|python|java|headless|monitor|check|\+", re.IGNORECASE
)
TOLD: Final = 0.01  # false positives
SURE: Final = 1.96  # standard deviations: 95 %


FIRST: Final = "first page"
PROGRAMS: Final = ("crawler", "liar", "headless")
KINDS: Final = ("browser", "rare browser", *PROGRAMS)


class Rows(NamedTuple):
    """Requests, 1 where a program asks, and which of KINDS each is; rows of one
    family are alike: of an agent's, of liars a library's."""

    requests: list[Request]
    labels: Array
    kinds: Array
    families: Array


class Part(NamedTuple):
    """What a part of the rows is made from."""

    crawlers: list[Agent]
    browsers: list[Agent]
    heads: list[Head]


def train(seed: int) -> Trained:
    rng = np.random.default_rng(seed)
    known, calibrating, later = (rows(part, rng) for part in parts(rng))
    numbers, labels = matrix(known), known.labels
    copies = forgetful(numbers, rng)
    network = MLPClassifier((HIDDEN,), alpha=1.0, batch_size=256, max_iter=12, random_state=seed)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)  # it is stopped early on purpose
        network.fit(np.concatenate((numbers, copies)), np.concatenate((labels, labels)))
    scale = LogisticRegression(C=1e6, class_weight="balanced").fit(
        logits(network, matrix(calibrating))[:, None], calibrating.labels
    )
    model = exported(network, float(scale.coef_[0, 0]), float(scale.intercept_[0]))
    told = run(model, {"features": matrix(later)})["probability"][:, 0]
    quality: Quality = {
        "rows trained on": len(labels),
        **{f"families held out, {kind}": families(later, kind) for kind in KINDS},
        **{f"rows held out, {kind}": int((later.kinds == kind).sum()) for kind in KINDS},
        "ROC AUC": round(float(roc_auc_score(later.labels, told)), 3),
        **measured(told, later),
        **calibration(told, later.labels),
        **baselines(known, later),
    }
    return Trained(
        model, quality, sample(model, later), histograms(numbers, run(model, {"features": numbers})["probability"])
    )


# Rows.


def parts(rng: np.random.Generator) -> tuple[Part, Part, Part]:
    """To train on, to calibrate with, and held out."""
    crawlers = heads.crawlers()
    browsers = heads.visitors() + heads.browsers(HERE / "browsers.txt")
    captured = heads.captured(HERE / "heads.jsonl")
    groups: tuple[tuple[list[Any], Callable[[Any], str]], ...] = (
        (crawlers, lambda agent: agent.family),
        (browsers, lambda agent: agent.family),
        *(
            ([head for head in captured if head.kind == "browser" and head.name == name], origin)
            for name in heads.BROWSERS
        ),
        ([head for head in captured if head.kind != "browser"], origin),
    )
    split = [apart(each, family, rng) for each, family in groups]
    known, calibrating, later = (
        Part(crawlers, browsers, [head for each in seen for head in each])
        for crawlers, browsers, *seen in zip(*split, strict=True)
    )
    return known, calibrating, later


def apart(
    every: list[Any], family: Callable[[Any], str], rng: np.random.Generator
) -> tuple[list[Any], list[Any], list[Any]]:
    names = rng.permutation(sorted({family(one) for one in every})).tolist()
    first, second = max(1, round(len(names) * HELD_OUT)), max(1, round(len(names) * HELD_OUT / 2))
    later, calibrating = set(names[:first]), set(names[first : first + second])
    return (
        [one for one in every if family(one) not in later | calibrating],
        [one for one in every if family(one) in calibrating],
        [one for one in every if family(one) in later],
    )


def origin(head: Head) -> str:
    """What is held out together: a library, however it was set; of a browser, one setting."""
    return f"{head.name}, {head.setting}" if head.kind == "browser" else head.name


def rows(part: Part, rng: np.random.Generator) -> Rows:
    seen = [head for head in part.heads if head.kind == "browser"]
    tools = [head for head in part.heads if head.kind == "tool"]
    liars = [head for head in part.heads if head.kind == "liar"]
    made: list[tuple[Request, int, str, str]] = []
    for agent in part.browsers:
        made += [(heads.browsing(agent.text, seen, rng), 0, agent.kind, agent.family) for _ in range(BROWSERS_EACH)]
    for agent in part.crawlers:
        for _ in range(CRAWLERS_EACH):
            chance = rng.random()
            if chance < 0.65:
                request = heads.asking(agent.text, pick(tools, rng), rng)
            elif chance < 0.8:
                request = heads.asking(agent.text, pick(liars, rng), rng)
            else:
                request = heads.browsing(agent.text, seen, rng, headless=chance < 0.87)
            made.append((request, 1, "crawler", agent.family))
    share = len(part.crawlers) / 2000
    for _ in range(int(LIARS * share)):
        head = pick(liars if rng.random() < 0.7 else [tool for tool in tools if tool.agent], rng)
        agent = pick(part.browsers, rng)
        made.append((heads.asking(agent.text, head, rng), 1, "liar", head.name))
    current = [agent for agent in part.browsers if heads.engine(agent.text) > ("chromium", 100)]
    current = [agent for agent in current if heads.engine(agent.text)[0] == "chromium"]
    hinting = [head for head in seen if any(name == "sec-ch-ua" for name, _ in head.fields)]
    for _ in range(int(HEADLESS * share)):
        agent = pick(current, rng)
        if rng.random() < 0.6:
            told = agent.text.replace(" Chrome/", " HeadlessChrome/")
            request = heads.browsing(told, seen, rng)
        else:
            request = heads.browsing(agent.text, hinting, rng, headless=True)
        made.append((request, 1, "headless", agent.family))
    made += [(heads.as_it_was(tool), 1, "crawler", tool.name) for tool in tools for _ in range(3)]
    requests, labels, kinds, names = zip(*made, strict=True)
    return Rows(list(requests), np.array(labels), np.array(kinds), np.array(names))


def pick(among: Sequence[Any], rng: np.random.Generator) -> Any:
    return among[rng.integers(len(among))]


def matrix(given: Rows) -> Array:
    return np.stack([vector(request) for request in given.requests])


def forgetful(numbers: Array, rng: np.random.Generator) -> Array:
    copies = numbers.copy()
    copies[:, len(NUMBERS) :] *= rng.random((len(copies), WORDS)) > FORGOTTEN
    return copies


# The network as a file.


def logits(network: MLPClassifier, numbers: Array) -> Array:
    (first, second), (bias, last) = network.coefs_, network.intercepts_
    return np.asarray((np.maximum(numbers @ first + bias, 0) @ second + last)[:, 0])


def exported(network: MLPClassifier, scale: float, shift: float) -> bytes:
    """Two layers; the second takes the calibration in."""
    (first, second), (bias, last) = network.coefs_, network.intercepts_
    graph = Graph("bot-score", [FEATURES])
    hidden = graph.add("Gemm", "features", first.astype(np.float32), bias.astype(np.float32))
    seen = graph.add("Relu", hidden)
    logit = graph.add("Gemm", seen, (second * scale).astype(np.float32), (last * scale + shift).astype(np.float32))
    graph.add("Sigmoid", logit, output="probability")
    return graph.model([PROBABILITY])


# What it is worth.


def measured(told: Array, given: Rows) -> Quality:
    """Recall where 1 in 100 rows of browsers is wrong, with 95 % intervals; and both kinds of error at 0.5 and 0.9."""
    limit = float(np.quantile(told[given.labels == 0], 1 - TOLD))
    quality: Quality = {"score for 1 % false positives": round(limit, 3)}
    for kind in PROGRAMS:
        quality[f"recall at 1 % false positives, {kind}"] = share(told > limit, given, kind)
    for at in (0.5, 0.9):
        for kind in KINDS:
            what = "recall" if kind in PROGRAMS else "false positives"
            quality[f"{what} at {at}, {kind}"] = share(told > at, given, kind)
    arrived = np.array([arriving(request) for request in given.requests])
    first = given._replace(kinds=np.where(given.kinds == "browser", arrived, ""))
    return quality | {
        f"false positives at {at}, first page of a browser": share(told > at, first, FIRST) for at in (0.5, 0.9)
    }


def arriving(request: Request) -> str:
    """FIRST where a browser goes somewhere with neither a cookie nor a referrer."""
    fields = request.headers
    first = b"text/html" in fields.get(b"accept", b"") and b"cookie" not in fields and b"referer" not in fields
    return FIRST if first else ""


def share(hits: Array, given: Rows, kind: str) -> str:
    """Of the rows of a kind, and how far off it may be: rows of one family are alike, so families were drawn."""
    chosen, names = hits[given.kinds == kind], given.families[given.kinds == kind]
    mean = float(chosen.mean())
    off = [float((chosen[names == name] - mean).sum()) for name in sorted(set(names))]
    return f"{mean:.3f} ± {SURE * float(np.linalg.norm(off)) / len(chosen):.3f}"


def calibration(told: Array, labels: Array) -> Quality:
    """How far the probability is from what happens, programs and browsers counting alike: the mean over tenths."""
    weights = np.where(labels == 1, 0.5 / labels.sum(), 0.5 / (1 - labels).sum())
    bins = np.minimum((told * 10).astype(int), 9)
    gaps = [abs(float((weights * (told - labels))[bins == place].sum())) for place in range(10)]
    return {"calibration error": round(sum(gaps), 3)}


def baselines(known: Rows, later: Rows) -> Quality:
    """What the agent alone says: a regular expression of words, and logistic regression over runs of 3 to 5 letters."""
    said = [[request.headers.get(b"user-agent", b"") for request in each.requests] for each in (known, later)]
    words = np.array([bool(KEYWORDS.search(agent)) for agent in said[1]])
    hashed = HashingVectorizer(analyzer="char_wb", ngram_range=(3, 5), n_features=4096, binary=True)
    first, second = (hashed.transform([agent.decode("latin-1") for agent in each]) for each in said)
    honest = known.kinds != "liar"
    fitted = LogisticRegression(C=1, max_iter=300).fit(first[honest], known.labels[honest])
    told = fitted.decision_function(second)
    limit = float(np.quantile(told[later.labels == 0], 1 - TOLD))
    return {
        "words in the agent alone, false positives": round(float(words[later.labels == 0].mean()), 3),
        **{
            f"{what}, recall of {kind}": round(float(hits[later.kinds == kind].mean()), 3)
            for what, hits in (
                ("words in the agent alone", words),
                ("letters of the agent alone, 1 % false positives", told > limit),
            )
            for kind in PROGRAMS
        },
    }


def families(given: Rows, kind: str) -> int:
    return len(set(given.families[given.kinds == kind]))


def sample(model: bytes, later: Rows) -> dict[str, Any]:
    """One browser and what it gets."""
    asked = vector(later.requests[0])[None]
    return {
        "inputs": {"features": [round(float(value), 6) for value in asked[0]]},
        "outputs": {"probability": [round(float(run(model, {"features": asked})["probability"][0, 0]), 4)]},
    }


def histograms(numbers: Array, told: Array) -> dict[str, Any]:
    """Of the numbers that vary most, and of the answer."""
    spread = numbers[:, : len(NUMBERS)].std(axis=0)
    most = sorted(int(place) for place in np.argsort(-spread)[:24])
    found = {f"features[{place}]": histogram(numbers[:, place]) for place in most}
    return found | {"probability[0]": histogram(told[:, 0])}


def histogram(values: Array) -> dict[str, list[float]]:
    """By the values that occur, or by eighths."""
    places = np.unique(values)
    edges = (places[1:] + places[:-1]) / 2 if len(places) <= 8 else np.linspace(values.min(), values.max(), 9)[1:-1]
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return {
        "edges": [round(float(edge), 4) for edge in edges],
        "shares": [round(float(count) / len(values), 4) for count in counts],
    }
