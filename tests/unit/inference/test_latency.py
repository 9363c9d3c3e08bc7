"""A model's word on endpoints: asked inline or not at all."""

from __future__ import annotations

import asyncio
import logging
from typing import Any

import numpy as np
import pytest

from edgeproxy.balance.rows import NAMES
from edgeproxy.clock import ManualClock
from edgeproxy.inference.latency import PAUSE, Latency
from edgeproxy.inference.version import AskError, Outcome
from tests.support.oracle import Oracle, Said, manifest

ROWS = [[float(place)] * len(NAMES) for place in range(3)]
GIVEN = {"name": "rows", "kind": "FP32", "shape": [-1, len(NAMES)]}
TOLD = {"name": "log_seconds", "kind": "FP32", "shape": [-1, 1]}


class Clerk(Oracle):
    """Says one number of each row: the first of the row by default."""

    def __init__(self, inputs: Any = (GIVEN,), outputs: Any = (TOLD,)) -> None:
        super().__init__(manifest("origin-latency", inputs, outputs))
        self.says = lambda tensors: tensors["rows"][:, 0].tolist()

    def _outcome(self, name: str, said: Said, version: str) -> Outcome:
        if isinstance(said, AskError):
            raise said
        return Outcome({"log_seconds": np.array(said, np.float32)[:, None]}, name, "1", "edge", 0.0)


class Bench:
    def __init__(self, clerk: Clerk | None = None) -> None:
        self.clerk = clerk or Clerk()
        self.clock = ManualClock()
        self.latency = Latency(self.clerk, "origin-latency", "site", self.clock)

    def ask(self) -> Any:
        return self.latency.predict(ROWS)


def test_all_rows_are_one_question_to_this_node_alone() -> None:
    bench = Bench()
    assert bench.ask() == [0.0, 1.0, 2.0]
    ((name, tensors, how),) = bench.clerk.asked
    assert (name, tensors["rows"].shape, tensors["rows"].dtype, how["here"]) == (
        "origin-latency",
        (3, len(NAMES)),
        np.float32,
        True,
    )


def test_one_that_fails_says_nothing_is_left_alone_and_comes_back(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "edgeproxy.origin")
    bench = Bench()
    says, bench.clerk.says = bench.clerk.says, lambda _: AskError("unanswered", "not now")
    assert [bench.ask() for _ in range(3)] == [None] * 3
    assert len(bench.clerk.asked) == 1
    bench.clock.advance(PAUSE + 0.1)
    assert bench.ask() is None
    assert len(bench.clerk.asked) == 2
    bench.clerk.says = says
    bench.clock.advance(PAUSE + 0.1)
    assert bench.ask() == bench.ask() == [0.0, 1.0, 2.0]
    assert [record.getMessage() for record in caplog.records] == [
        "pool site: class_ewma decides, for the model origin-latency does not answer: not now",
        "pool site: the model origin-latency answers again",
    ]


@pytest.mark.filterwarnings("error")
async def test_nothing_waits_for_one_that_does_not_answer_at_once() -> None:
    bench = Bench()
    bench.clerk.gate = asyncio.Event()
    assert bench.ask() is None
    assert bench.ask() is None
    assert len(bench.clerk.asked) == 1


@pytest.mark.parametrize("said", [float("nan"), float("inf"), float("-inf")])
def test_what_is_no_number_says_nothing(said: float) -> None:
    bench = Bench()
    bench.clerk.says = lambda _: [1.0, said, 1.0]
    assert bench.ask() is None


@pytest.mark.parametrize(
    ("clerk", "message"),
    [
        (Clerk(inputs=(GIVEN | {"shape": [-1, 11]},)), "does not take"),
        (Clerk(inputs=(GIVEN | {"shape": [1, len(NAMES)]},)), "does not take"),
        (Clerk(inputs=(GIVEN | {"kind": "FP64"},)), "does not take"),
        (Clerk(inputs=(GIVEN, GIVEN | {"name": "more"})), "does not take"),
        (Clerk(outputs=(TOLD | {"shape": [-1, 2]},)), "does not give"),
        (Clerk(outputs=(TOLD | {"kind": "INT64"},)), "does not give"),
        (Oracle(), "no model 'origin-latency'"),
    ],
)
def test_another_model_is_refused_when_it_is_configured(clerk: Oracle, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        Latency(clerk, "origin-latency", "site", ManualClock())
