"""How unlike the rest a request is: an isolation forest over ``request/1``, as one ensemble of trees.

Learnt from what a site answered well. What ships is fitted to the log of a site that does not exist, made here;
`edgeproxy models fit` makes a node its own.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any, Final

import numpy as np
import numpy.typing as npt
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from edgeproxy.features.log import Record
from edgeproxy.features.request import LENGTH, of_record
from edgeproxy.tensors import ANY, Spec
from edgeproxy.training.graph import Graph, run
from edgeproxy.training.shelf import Quality, Trained

Array = npt.NDArray[Any]

FEATURES: Final = Spec("features", "FP32", (ANY, LENGTH))
SCORE: Final = Spec("score", "FP32", (ANY, 1))
TREES: Final = 100
DRAWN: Final = 256  # requests each tree is grown from (Liu, Ting, Zhou: Isolation Forest, 2008)
STREWN: Final = 0.25  # beside the requests seen, a share of these with
ANEW: Final = 0.1  # of their numbers drawn anew
FEWEST: Final = 200
MOST: Final = 100_000  # requests looked at
MEASURE: Final = "ROC AUC, own requests and probes"

# What scanners ask for, put in the place of the site's own targets: `measure` knows them, the forest has not seen them.
PROBES: Final = (
    *("/.env", "/.git/config", "/wp-login.php", "/wp-admin/setup-config.php?step=1", "/phpmyadmin/index.php"),
    *(
        "/cgi-bin/luci/;stok=/locale",
        "/vendor/phpunit/phpunit/src/Util/PHP/eval-stdin.php",
        "/backup.sql",
        "/.aws/credentials",
    ),
    *(
        "/index.php?id=1%27%20OR%20%271%27=%271",
        "/search?q=%3Cscript%3Ealert(1)%3C/script%3E",
        "/../../../../etc/passwd",
    ),
    *(
        "/?file=..%2f..%2f..%2fetc%2fpasswd",
        "/?url=http://169.254.169.254/latest/meta-data/",
        "/actuator/env",
        "/console/",
    ),
    *(
        "/api/v1/users?filter[$ne]=null",
        "/?x=${jndi:ldap://a.example/a}",
        "/solr/admin/info/system?wt=json",
        "/boaform/login",
    ),
    *(
        "/%2e%2e/%2e%2e/%2e%2e/windows/win.ini",
        "/HNAP1/",
        "/owa/auth/logon.aspx",
        "/server-status?full",
        "/shell?cd+/tmp;rm+-rf+*",
    ),
)


def fit(rows: Iterable[Record], seed: int, progress: Callable[[str], None]) -> Trained:
    """The forest. Raises ValueError where the records hold too few requests that were answered well."""
    rng = np.random.default_rng(seed)
    good = answered(rows)
    if len(good) < FEWEST:
        raise ValueError(f"{len(good)} requests that were answered well are too few to learn from; {FEWEST} are needed")
    if len(good) > MOST:
        good = [good[place] for place in np.sort(rng.permutation(len(good))[:MOST])]
    progress(f"{len(good)} requests that were answered well")
    numbers = matrix(good)
    forest = IsolationForest(n_estimators=TREES, max_samples=min(DRAWN, len(good)), random_state=seed)
    forest.fit(np.concatenate((numbers, strewn(numbers, rng))))
    model = exported(forest)
    told = scores(model, numbers)
    return Trained(model, {"requests trained on": len(good)}, sample(model, numbers[0]), histograms(numbers, told))


def train(seed: int) -> Trained:
    """Fitted to the older four fifths of a log made up, measured on the rest."""
    records = sorted(imagined(np.random.default_rng(seed)), key=lambda record: record.time)
    count = len(records) * 4 // 5
    fitted = fit(records[:count], seed, lambda _: None)
    return fitted._replace(quality=fitted.quality | score(fitted.model, records[count:]))


def score(model: bytes, rows: Iterable[Record]) -> Quality:
    """How well requests answered well are told from the same with a probe's target, and how high their own scores lie.

    NaN, which is no measure, where there are none."""
    good = answered(rows)
    if not good:
        return {"requests held out": 0, MEASURE: float("nan")}
    probes = [record._replace(target=PROBES[place % len(PROBES)], referer="") for place, record in enumerate(good)]
    own, others = scores(model, matrix(good)), scores(model, matrix(probes))
    truth = np.repeat((0, 1), (len(own), len(others)))
    limit = float(np.quantile(own, 0.99))
    return {
        "requests held out": len(good),
        MEASURE: round(float(roc_auc_score(truth, np.concatenate((own, others)))), 3),
        "score of 1 in 100 of its own": round(limit, 3),
        "probes above that": round(float((others > limit).mean()), 3),
        "kinds of probes above that": f"{kinds(others, limit)} of {len(PROBES)}",
        "score of 1 in 1000 of its own": round(float(np.quantile(own, 0.999)), 3),
    }


def kinds(others: Array, limit: float) -> int:
    """Probes that are mostly found."""
    places = np.arange(len(others)) % len(PROBES)
    return sum(float((others[places == place] > limit).mean()) > 0.5 for place in set(places.tolist()))


def answered(rows: Iterable[Record]) -> list[Record]:
    return [record for record in rows if 0 < record.status < 400]


def matrix(records: Sequence[Record]) -> Array:
    return np.stack([of_record(record) for record in records])


def scores(model: bytes, numbers: Array) -> Array:
    return np.asarray(run(model, {"features": numbers})["score"][:, 0])


def strewn(numbers: Array, rng: np.random.Generator) -> Array:
    """Requests with some of their numbers drawn anew, so that trees ask for numbers too that are always the same here:
    a forest grown from what was seen alone is blind to what never was."""
    drawn = numbers[rng.integers(len(numbers), size=int(len(numbers) * STREWN))].copy()
    anew = rng.random(drawn.shape) < ANEW
    drawn[anew] = rng.random(int(anew.sum()), np.float32)
    return drawn


# The forest as a file.


def exported(forest: IsolationForest) -> bytes:
    """2 to the power of minus the mean length of the ways down, over the usual one: the higher the stranger.

    One TreeEnsembleRegressor for all trees runs a hundred times as fast as the nodes that skl2onnx writes."""
    nodes: dict[str, list[Any]] = {
        name: [] for name in ("treeids", "nodeids", "featureids", "values", "modes", "truenodeids", "falsenodeids")
    }
    leaves: dict[str, list[Any]] = {name: [] for name in ("treeids", "nodeids", "weights")}
    for number, (grown, features) in enumerate(zip(forest.estimators_, forest.estimators_features_, strict=True)):
        tree = grown.tree_
        for node, depth in depths(tree).items():
            leaf = tree.children_left[node] < 0
            nodes["treeids"].append(number)
            nodes["nodeids"].append(node)
            nodes["modes"].append("LEAF" if leaf else "BRANCH_LEQ")
            nodes["featureids"].append(0 if leaf else int(features[tree.feature[node]]))
            nodes["values"].append(0.0 if leaf else float(below(tree.threshold[node])))
            nodes["truenodeids"].append(0 if leaf else int(tree.children_left[node]))
            nodes["falsenodeids"].append(0 if leaf else int(tree.children_right[node]))
            if leaf:
                leaves["treeids"].append(number)
                leaves["nodeids"].append(node)
                leaves["weights"].append((depth + usual(int(tree.n_node_samples[node]))) / TREES)
    graph = Graph("request-anomaly", [FEATURES])
    length = graph.add(
        "TreeEnsembleRegressor", "features", domain="ai.onnx.ml", n_targets=1,
        target_ids=[0] * len(leaves["treeids"]),
        **{f"nodes_{name}": values for name, values in nodes.items()},
        **{f"target_{name}": values for name, values in leaves.items()},
    )  # fmt: skip
    usually = usual(int(forest.max_samples_))
    graph.add("Exp", graph.add("Mul", length, np.float32(-np.log(2) / usually)), output="score")
    return graph.model([SCORE])


def depths(tree: Any) -> dict[int, int]:
    """By node, how many are above it."""
    found = {0: 0}
    for node in range(tree.node_count):
        for child in (tree.children_left[node], tree.children_right[node]):
            if child >= 0:
                found[int(child)] = found[node] + 1
    return found


def below(threshold: float) -> np.float32:
    """The largest number of 32 bits that is no more than a threshold of 64: what is compared has 32."""
    near = np.float32(threshold)
    return near if float(near) <= threshold else np.nextafter(near, np.float32(-np.inf))


def usual(count: int) -> float:
    """The mean length of a way that ends among so many (Liu, Ting, Zhou, eq. 1)."""
    if count <= 1:
        return 0.0
    if count == 2:
        return 1.0
    return 2.0 * (float(np.log(count - 1)) + float(np.euler_gamma)) - 2.0 * (count - 1) / count


def sample(model: bytes, numbers: Array) -> dict[str, Any]:
    asked = np.round(numbers, 4)[None]
    return {
        "inputs": {"features": [round(float(value), 4) for value in asked[0]]},
        "outputs": {"score": [round(float(scores(model, asked)[0]), 4)]},
    }


def histograms(numbers: Array, told: Array) -> dict[str, Any]:
    """Of all numbers that vary, and of the score: by eighths of what was seen."""
    found = {
        f"features[{place}]": histogram(numbers[:, place]) for place in range(LENGTH) if np.ptp(numbers[:, place]) > 0
    }
    return found | {"score[0]": histogram(told)}


def histogram(values: Array) -> dict[str, list[float]]:
    edges = np.linspace(float(values.min()), float(values.max()), 9)[1:-1].round(4)
    counts = np.bincount(np.searchsorted(edges, values, side="right"), minlength=len(edges) + 1)
    return {"edges": edges.tolist(), "shares": (counts / len(values)).round(4).tolist()}


# The log of a site that does not exist: pages with what belongs to them, a search, an API, a form; and some errors.

WEEK: Final = 604_800
VISITS: Final = 2_500
WORDS: Final = (
    "tram",
    "river",
    "museum",
    "bread",
    "north",
    "light",
    "garden",
    "letter",
    "station",
    "winter",
    "ferry",
    "stone",
)
AGENTS: Final = (
    "Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/153.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_7 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Safari/604.1",
    "Mozilla/5.0 (X11; Linux x86_64; rv:153.0) Gecko/20100101 Firefox/153.0",
    "Mozilla/5.0 (compatible; Googlebot/2.1; +http://www.google.com/bot.html)",
)


def imagined(rng: np.random.Generator) -> Iterator[Record]:
    for number, begun in enumerate(np.sort(rng.uniform(0, WEEK, VISITS))):
        time, client, agent = float(begun), f"192.0.2.{number % 256}", AGENTS[rng.choice(4, p=(0.45, 0.3, 0.15, 0.1))]
        page, referer = "/", ""
        for _ in range(1 + rng.geometric(0.3)):
            for method, target, status in asked(page, rng):
                yield Record(time, client, method, target, status, 1000, "1.1", referer, agent)
                time, referer = time + rng.exponential(0.3), f"https://site.example{page}"
            time, page = time + rng.exponential(30), following(rng)


def asked(page: str, rng: np.random.Generator) -> Iterator[tuple[str, str, int]]:
    """A page, and what it loads."""
    yield "GET", page, 404 if rng.random() < 0.01 else 200
    if rng.random() < 0.5:
        yield from (("GET", f"/assets/{name}", 200) for name in ("site.css?v=12", "site.js?v=12", "logo.svg"))
    if "article" in page:
        yield "GET", f"/pictures/{rng.integers(1, 400)}.jpg?w={rng.choice([320, 640, 1280])}", 200
        yield "GET", f"/api/articles/{rng.integers(1, 900)}/comments?page={rng.integers(1, 4)}", 200
    if rng.random() < 0.03:
        yield "POST", "/api/comments", 201


def following(rng: np.random.Generator) -> str:
    word = WORDS[rng.integers(len(WORDS))]
    return str(
        rng.choice(
            [
                "/",
                f"/{word}/",
                f"/{word}/article-{rng.integers(1, 900)}",
                f"/search?q={word}+{WORDS[rng.integers(12)]}",
                "/about",
            ],
            p=(0.1, 0.3, 0.45, 0.1, 0.05),
        )
    )
