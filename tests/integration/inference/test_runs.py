"""What takes long runs on threads, in bounded lines, within its time, and holds up nobody else."""

from __future__ import annotations

import asyncio
import gc
import weakref
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import pytest

from edgeproxy.inference.manifest import Manifest
from edgeproxy.inference.runs import NoRunError, Runs
from edgeproxy.inference.session import Session
from edgeproxy.inference.version import Version
from edgeproxy.observe.metrics import Metrics
from tests.support import onnx_bytes
from tests.support.models import SCORE, SLOW, Small, manifest
from tests.support.waiting import eventually

LONG = SLOW._replace(content=onnx_bytes.steady(256, 20_000))  # seconds
X = {"x": np.full((1, 1), 0.5, np.float32)}


def version(name: str, small: Small, **changes: Any) -> Version:
    told = Manifest.model_validate(manifest(name, {"1": small}, **changes))
    return Version(told, "1", told.versions["1"], Session(small.content), 1.0, inline=False)


@pytest.fixture
async def runs() -> AsyncIterator[Runs]:
    made = Runs(2, Metrics())
    made.start()
    yield made
    await made.stop()


async def reason(asked: Any) -> str:
    with pytest.raises(NoRunError) as refused:
        await asked
    return refused.value.reason


async def test_an_answer_comes_from_a_thread(runs: Runs) -> None:
    answer = await runs.ask(version("slow", SLOW), X, 30)
    assert answer["y"].shape == (1, 1)


async def test_a_run_past_its_time_is_given_up_and_its_thread_is_free_again(runs: Runs) -> None:
    long = version("long", LONG)
    assert await reason(runs.ask(long, X, 0.05)) == "late"
    await eventually(lambda: not runs._running, 20)
    assert (await runs.ask(version("slow", SLOW), X, 30))["y"].shape == (1, 1)


async def test_a_full_line_refuses_at_once_and_other_models_go_on(runs: Runs) -> None:
    long = version("long", LONG, queue=1)
    waiting = [asyncio.ensure_future(runs.ask(long, X, 30)) for _ in range(2)]
    await asyncio.sleep(0)
    assert await reason(runs.ask(long, X, 30)) == "full"
    assert (await runs.ask(version("slow", SLOW), X, 30))["y"].shape == (1, 1)
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    await eventually(lambda: not runs._running, 20)


async def test_questions_are_joined_and_each_has_its_own_answer(runs: Runs) -> None:
    score = version("score", SCORE, batch={"most": 4, "wait": "50ms"})
    questions = [{"features": np.array([[0, 0, 0, value]], np.float32)} for value in (-1, 0, 1)]
    answers = await asyncio.gather(*(runs.ask(score, each, 30) for each in questions))
    assert [round(float(answer["score"][0, 0]), 2) for answer in answers] == [0.27, 0.5, 0.73]


async def test_a_question_the_model_fails_at_spoils_no_other(runs: Runs) -> None:
    score = version("score", SCORE, batch={"most": 4, "wait": "50ms"})
    good, bad = {"features": np.zeros((1, 4), np.float32)}, {"features": np.zeros((1, 5), np.float32)}
    answers = await asyncio.gather(*(runs.ask(score, each, 30) for each in (good, bad, good)), return_exceptions=True)
    assert isinstance(answers[1], NoRunError)
    assert answers[1].reason == "failed"
    assert all(isinstance(answers[place], dict) for place in (0, 2))


async def test_nobody_waits_any_longer_once_it_is_closed(runs: Runs) -> None:
    asked = asyncio.ensure_future(runs.ask(version("long", LONG), X, 60))
    await eventually(lambda: bool(runs._running))
    await runs.stop()
    assert await reason(asked) == "closed"
    assert await reason(runs.ask(version("slow", SLOW), X, 1)) == "closed"


async def test_a_model_with_many_runs_at_a_time_leaves_a_thread_to_others(runs: Runs) -> None:
    long = version("long", LONG, concurrency=8)
    waiting = [asyncio.ensure_future(runs.ask(long, X, 60)) for _ in range(4)]
    await eventually(lambda: bool(runs._running))
    assert (await runs.ask(version("slow", SLOW), X, 30))["y"].shape == (1, 1)
    assert not any(each.done() for each in waiting)
    for each in waiting:
        each.cancel()
    await asyncio.wait(waiting)
    await eventually(lambda: not runs._running, 20)


async def test_what_was_asked_is_let_go_at_once(runs: Runs) -> None:
    question = np.full((1, 1), 0.5, np.float32)
    held = weakref.ref(question)
    gc.disable()  # a worker collects seldom, and a picture is half a megabyte
    try:
        await runs.ask(version("slow", SLOW), {"x": question}, 30)
        del question
        await eventually(lambda: held() is None)
    finally:
        gc.enable()
