"""Versions that are asked and never heeded."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

import pytest

from edgeproxy.inference.reading import Reading
from edgeproxy.inference.rule_settings import Use as Settings
from edgeproxy.inference.shadow import AT_ONCE, Shadow
from edgeproxy.inference.uses import compile_use
from edgeproxy.inference.version import AskError, Outcome
from edgeproxy.observe.metrics import Metrics
from edgeproxy.tensors import Tensors
from tests.support.oracle import Oracle, labelled, manifest


class Bench:
    """A shadow of a model, version 2, with one use from 0.5 on."""

    def __init__(self, oracle: Oracle) -> None:
        self.oracle = oracle
        self.metrics = Metrics()
        described = oracle.require("score")
        use = compile_use(Settings(log="seen", above=0.5), described)
        self.tasks: list[asyncio.Task[None]] = []
        self.shadow = Shadow(oracle, "score", "2", Reading(described), [use], self.spawn, self.metrics)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        self.tasks.append(asyncio.get_running_loop().create_task(work))

    def compare(self, *said: float, by: str = "edge") -> None:
        outcome = self.oracle._outcome("score", list(said), "1")
        self.shadow.compare({}, outcome._replace(by=by))

    def counted(self) -> dict[str, float]:
        family = next(each for each in self.metrics.dump() if each["name"] == "edgeproxy_shadow_total")
        return {labels[2]: values[0] for labels, values in family["series"]}

    def off(self) -> float:
        family = next(each for each in self.metrics.dump() if each["name"] == "edgeproxy_shadow_difference")
        return sum(values[-1] for _, values in family["series"])


@pytest.mark.parametrize(("own", "other", "expected"), [(0.9, 0.6, "same"), (0.9, 0.4, "other"), (0.1, 0.4, "same")])
def test_it_is_compared_by_what_would_be_done(own: float, other: float, expected: str) -> None:
    bench = Bench(Oracle())
    bench.oracle.otherwise = lambda _: [other]
    bench.compare(own)
    assert bench.counted() == {expected: 1}
    assert bench.off() == pytest.approx(abs(own - other))
    assert bench.oracle.asked == [("score", {}, {"version": "2", "within": None, "here": True})]


def test_another_label_is_another_answer() -> None:
    bench = Bench(Oracle(manifest(outputs=[labelled("a", "b")])))
    bench.oracle.otherwise = lambda _: [0.1, 0.9]
    bench.compare(0.9, 0.1)
    assert bench.counted() == {"other": 1}


async def test_one_that_takes_its_time_is_not_waited_for() -> None:
    bench = Bench(Oracle())
    bench.oracle.gate = asyncio.Event()
    bench.compare(0.9)
    assert bench.counted() == {}
    bench.oracle.gate.set()
    await asyncio.gather(*bench.tasks)
    assert bench.counted() == {"same": 1}


async def test_so_many_and_no_more_are_on_their_way() -> None:
    bench = Bench(Oracle())
    bench.oracle.gate = asyncio.Event()
    for _ in range(AT_ONCE + 3):
        bench.compare(0.9)
    assert bench.counted() == {"skipped": 3}
    bench.oracle.gate.set()
    await asyncio.gather(*bench.tasks)
    bench.compare(0.9)
    await asyncio.gather(*bench.tasks)
    assert bench.counted() == {"skipped": 3, "same": AT_ONCE + 1}


async def test_one_that_does_not_answer_is_counted() -> None:
    def fails(_: Tensors) -> AskError:
        return AskError("unanswered", "busy")

    bench = Bench(Oracle())
    bench.oracle.otherwise = fails
    bench.compare(0.9)
    bench.oracle.gate = asyncio.Event()
    bench.oracle.gate.set()
    bench.compare(0.9)
    await asyncio.gather(*bench.tasks)
    bench.oracle.gate, bench.oracle.otherwise = None, lambda _: [float("nan")]
    bench.compare(0.9)
    assert bench.counted() == {"unanswered": 3}


def test_it_is_not_compared_with_what_others_answer() -> None:
    bench = Bench(Oracle())
    for by in ("regional", "default"):
        bench.compare(0.9, by=by)
    assert bench.counted() == {"skipped": 2}
    assert bench.oracle.asked == []


def test_the_outcome_is_left_as_it_is() -> None:
    bench = Bench(Oracle())
    outcome = bench.oracle._outcome("score", [0.9], "1")
    assert isinstance(outcome, Outcome)
    bench.shadow.compare({}, outcome)
    assert outcome.tensors["score"].tolist() == [[pytest.approx(0.9)]]
