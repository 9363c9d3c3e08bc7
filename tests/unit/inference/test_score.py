"""A model's part of the bot score."""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING, Any, cast

import pytest

from edgeproxy.features import table
from edgeproxy.inference.score import LONGEST, PAUSE, ModelScore
from edgeproxy.inference.version import AskError, Version
from edgeproxy.observe.metrics import Metrics
from tests.support.oracle import TEXT, Oracle, labelled, manifest
from tests.support.stages import exchange

if TYPE_CHECKING:
    from edgeproxy.inference.session import Session


@pytest.fixture(autouse=True)
def head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.TABLE, "head/1", table.Row("request", "tests.support.oracle", "head", "identity"))


def version(number: str) -> Version:
    described = manifest()
    return Version(described, number, described.versions[number], cast("Session", None), 0.0, inline=True)


class Bench:
    """A model that counts for up to 60 points, beside signals that find so many."""

    def __init__(self, oracle: Oracle | None = None, weighed: int = 10) -> None:
        self.oracle = oracle or Oracle()
        self.metrics = Metrics()
        self.scorer = ModelScore(lambda _: weighed, self.oracle, "score", 60, self.metrics)

    def at(self, seconds: float = 0.0, agent: bytes = b"Mozilla/5.0") -> int:
        return self.scorer.score(exchange(headers={b"user-agent": agent}, started=seconds))

    def counted(self, outcome: str) -> float:
        labels = ("model", "on", "outcome")
        return self.metrics.counter("edgeproxy_predictions_total", "", labels).value("score", "score", outcome)


@pytest.mark.parametrize(("probability", "expected"), [(0.0, 10), (0.5, 40), (1.0, 70)])
def test_a_probability_adds_its_share_of_the_weight(probability: float, expected: int) -> None:
    bench = Bench(Oracle(says=lambda _: [probability]))
    assert bench.at() == expected
    assert bench.counted("answered") == 1
    assert bench.oracle.asked[0][1]["features"].tolist() == [[1, 1]]


def test_the_score_ends_at_100() -> None:
    assert Bench(Oracle(says=lambda _: [1.0]), weighed=70).at() == 100


def test_of_labels_that_of_bots_counts() -> None:
    described = manifest(outputs=[labelled("browser", "bot")])
    assert Bench(Oracle(described, says=lambda _: [0.75, 0.25])).at() == 25


def test_it_asks_this_node_alone() -> None:
    bench = Bench()
    bench.at()
    assert bench.oracle.asked[0][2]["here"]


def test_what_was_said_of_a_head_is_remembered_while_the_version_serves() -> None:
    bench = Bench(Oracle(says=lambda _: [0.5]))
    bench.oracle.version = version("1")
    assert [bench.at() for _ in range(3)] == [40, 40, 40]
    assert bench.at(agent=b"curl/8") == 40
    assert len(bench.oracle.asked) == 2
    assert bench.oracle.repeats == 2
    assert bench.counted("answered") == 4
    bench.oracle.says = lambda _: [1.0]
    assert bench.at() == 40
    bench.oracle.version = version("2")
    assert bench.at() == 70


def test_a_model_that_is_not_pure_is_asked_each_time() -> None:
    bench = Bench(Oracle(manifest(pure=False)))
    bench.oracle.version = version("1")
    assert [bench.at(), bench.at()] == [64, 64]
    assert len(bench.oracle.asked) == 2


def test_floods_of_heads_do_not_grow_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("edgeproxy.inference.score.KEPT", 8)
    bench = Bench()
    bench.oracle.version = version("1")
    for number in range(100):
        bench.at(agent=b"%d" % number)
    assert len(bench.scorer._values) + len(bench.scorer._older) <= 8
    bench.at(agent=b"x" * (LONGEST + 1))
    assert all(len(key) <= LONGEST for key in bench.scorer._values)


def test_without_an_answer_the_score_is_as_without_a_model(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    bench = Bench(Oracle(says=lambda _: AskError("unanswered", "it is not loaded")))
    assert [bench.at(seconds) for seconds in (100.0, 100.0 + PAUSE - 0.1, 100.0 + PAUSE)] == [10, 10, 10]
    assert len(bench.oracle.asked) == 2
    assert bench.counted("unanswered") == 2
    assert caplog.messages == ["the model score does not count for the score: it is not loaded"]
    bench.oracle.says = lambda _: [1.0]
    assert [bench.at(seconds) for seconds in (200.0, 200.0)] == [70, 70]
    assert caplog.messages[1:] == ["the model score answers again and counts for the score"]


@pytest.mark.filterwarnings("error")
async def test_nothing_waits_for_a_model_that_does_not_run_inline(caplog: pytest.LogCaptureFixture) -> None:
    class Slow(Oracle):
        def ask(self, name: str, tensors: Any, **more: Any) -> Any:
            super().ask(name, tensors, **more).close()  # type: ignore[union-attr]
            return made.pop()

    async def later() -> Any:
        raise AssertionError("nobody waits for this")

    future = asyncio.get_running_loop().create_future()
    made: list[Any] = [future, later()]
    oracle = Slow()
    oracle.gate = asyncio.Event()
    bench = Bench(oracle)
    assert [bench.at(seconds) for seconds in (10.0, 10.0 + PAUSE)] == [10, 10]
    assert future.cancelled()
    assert caplog.messages == ["the model score does not count for the score: it takes too long to run inline"]


def test_an_answer_that_makes_no_sense_does_not_count() -> None:
    bench = Bench(Oracle(says=lambda _: [float("nan")]))
    assert bench.at() == 10
    assert bench.counted("unanswered") == 1


@pytest.mark.parametrize(
    ("described", "why"),
    [
        (manifest("other"), "there is no model 'score'"),
        (manifest(inputs=[TEXT]), "the input 'text' cannot be fed"),
        (manifest(outputs=[labelled("good", "bad")]), "'score' has no label 'bot'"),
    ],
)
def test_models_for_something_else_are_refused(described: Any, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        Bench(Oracle(described))
