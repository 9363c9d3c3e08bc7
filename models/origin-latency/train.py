"""When an endpoint's answer begins: boosted trees over what a node knows of it as it chooses.

What ships is fitted to the endpoints of a simulation; `edgeproxy models fit` makes it a node's own, from what a pool
with `balance: learned` writes to the access log.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any, Final

import lightgbm
import numpy as np
import numpy.typing as npt
import onnxmltools
from onnxmltools.convert.common.data_types import FloatTensorType

from edgeproxy.balance.rows import LEAST, NAMES
from edgeproxy.features.log import Record
from edgeproxy.training.graph import run
from edgeproxy.training.queueing import logged
from edgeproxy.training.shelf import Quality, Trained

Array = npt.NDArray[Any]

SETTINGS: Final = {
    "objective": "regression",
    "num_leaves": 31,
    "learning_rate": 0.1,
    "deterministic": True,
    "force_row_wise": True,
    "num_threads": 1,
    "verbose": -1,
}
TREES: Final = 120
FEWEST: Final = 1_000  # answers, below which trees learn them by heart
MOST: Final = 200_000
SECONDS: Final = 25.0  # of each simulated world
WORLDS: Final = 4
HELD_OUT: Final = 2  # worlds more: what one of them has seen tells of all of its rows
INPUT, OUTPUT = "rows", "log_seconds"
OPSET: Final = 15
MEASURE: Final = "share of the plain expectation's error that is gone"


def fit(rows: Iterable[Record], seed: int, progress: Callable[[str], None]) -> Trained:
    """The trees. Raises ValueError where the records hold too few choices of an endpoint."""
    numbers, logs = choices(rows)
    if len(logs) < FEWEST:
        told = f"{len(logs)} requests for which an endpoint was chosen are too few to learn from; {FEWEST} are needed"
        raise ValueError(f"{told}. The JSON log has them of pools with `balance: learned`")
    if len(logs) > MOST:
        numbers, logs = numbers[-MOST:], logs[-MOST:]
    progress(f"{len(logs)} choices of an endpoint")
    return fitted(numbers, logs, seed)


def train(seed: int) -> Trained:
    """Fitted to some simulated worlds, measured in others."""
    made = fitted(*simulated(range(1_000 * seed + 1, 1_000 * seed + 1 + WORLDS)), seed)
    quality = measured(made.model, *simulated(range(2_000 * seed + 1, 2_000 * seed + 1 + HELD_OUT)))
    return made._replace(quality=made.quality | quality)


def score(model: bytes, rows: Iterable[Record]) -> Quality:
    """How far off the model and the plain expectation are. NaN, which is no measure, where there are no choices."""
    return measured(model, *choices(rows))


def measured(model: bytes, numbers: Array, logs: Array) -> Quality:
    """Mean absolute errors of the log of the time."""
    if not len(logs):
        return {"choices held out": 0, MEASURE: float("nan")}
    own = float(np.abs(predicted(model, numbers) - logs).mean())
    plain = float(np.abs(numbers[:, 0] - logs).mean())
    return {
        "choices held out": len(logs),
        MEASURE: round(1.0 - own / plain, 4) if plain else float("nan"),
        "mean error of the log of the time": round(own, 4),
        "the same of the plain expectation": round(plain, 4),
    }


def choices(records: Iterable[Record]) -> tuple[Array, Array]:
    """The rows of the endpoints chosen, as balance.rows makes them, and the logs of the seconds each took."""
    told = [record.choice for record in records if len(record.choice) == len(NAMES) + 1]
    whole = np.array(told, np.float32).reshape(-1, len(NAMES) + 1)
    return whole[:, :-1], np.log(np.maximum(whole[:, -1], LEAST))


def simulated(seeds: Sequence[int]) -> tuple[Array, Array]:
    rows, seconds = logged(seeds, SECONDS)
    return np.array(rows, np.float32), np.log(np.array(seconds, np.float32))


def predicted(model: bytes, numbers: Array) -> Array:
    return np.asarray(run(model, {INPUT: numbers})[OUTPUT][:, 0])


def fitted(numbers: Array, logs: Array, seed: int) -> Trained:
    trees = lightgbm.train({**SETTINGS, "seed": seed}, lightgbm.Dataset(numbers, logs), TREES)
    model = exported(trees)
    quality: Quality = {"choices trained on": len(logs)}
    return Trained(model, quality, sample(model, numbers[0]))


def exported(trees: lightgbm.Booster) -> bytes:
    """One TreeEnsembleRegressor."""
    made = onnxmltools.convert_lightgbm(
        trees, initial_types=[(INPUT, FloatTensorType([None, len(NAMES)]))], target_opset=OPSET
    )
    (told,) = made.graph.output
    for node in made.graph.node:
        node.output[:] = [OUTPUT if name == told.name else name for name in node.output]
    told.name = OUTPUT
    return bytes(made.SerializeToString())


def sample(model: bytes, numbers: Array) -> dict[str, Any]:
    asked = np.round(numbers, 4)[None]
    return {
        "inputs": {INPUT: [round(float(value), 4) for value in asked[0]]},
        "outputs": {OUTPUT: [round(float(predicted(model, asked)[0]), 4)]},
    }
