"""Versions are tried where they can do no harm, and who tried them is not believed beyond what it can say."""

from __future__ import annotations

import asyncio
import json
import re
import signal
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edgeproxy.inference import trial as trying
from edgeproxy.inference.manifest import Manifest
from edgeproxy.inference.trial import Report, Trial, TrialError
from edgeproxy.inference.trial_process import SAID
from edgeproxy.tensors import ANY, Spec
from tests.support import onnx_bytes
from tests.support.models import ECHO, SCORE, SLOW, Small, manifest
from tests.support.waiting import eventually

MEMORY = 500_000_000
ONE_IN, ONE_OUT = (Spec("x", "FP32", (1,)),), (Spec("y", "FP32", (1,)),)
LOOP = Small(onnx_bytes.loop(5), ONE_IN, ONE_OUT, {"inputs": {"x": [1]}, "outputs": {"y": [6]}})
GLUTTON = Small(
    onnx_bytes.glutton(1_000_000_000),
    ONE_IN,
    (Spec("y", "FP32", (ANY,)),),
    {"inputs": {"x": [1]}, "outputs": {"y": [1]}},
)


@pytest.fixture
async def trial() -> AsyncIterator[Trial]:
    trial = Trial(MEMORY, 5.0, 10_000_000)
    yield trial
    await trial.stop()


async def judged(trial: Trial, small: Small, **changes: Any) -> Report:
    said = Manifest.model_validate(manifest("x", {"1": small}, **changes))
    return await trial.judge(small.content, said, said.versions["1"])


async def refused(trial: Trial, small: Small, **changes: Any) -> TrialError:
    with pytest.raises(TrialError) as error:
        await judged(trial, small, **changes)
    return error.value


def about(trial: Trial, what: str) -> str:
    return Path(f"/proc/{pid(trial)}/{what}").read_bytes().decode()


def is_gone(process: int) -> bool:
    return not Path(f"/proc/{process}").exists()


def pid(trial: Trial) -> int:
    assert trial._child is not None
    return trial._child.pid


async def test_what_passes_is_told_and_one_process_tries_all(trial: Trial, capfd: pytest.CaptureFixture[str]) -> None:
    score = await judged(trial, SCORE)
    first = pid(trial)
    assert 0 < score.seconds < 0.001
    assert score[1:] == (False, 2, 17, 20)
    slow = await judged(trial, SLOW)
    assert 10 * score.seconds < slow.seconds < 0.5
    assert (await judged(trial, LOOP, control_flow=True)).control_flow
    assert pid(trial) == first
    assert capfd.readouterr() == ("", "")


REFUSED: tuple[tuple[Small, str], ...] = (
    (SCORE._replace(sample={**SCORE.sample, "outputs": {"score": [0.75]}}), r"score\[0\] is 0.5; the manifest has"),
    (SCORE._replace(outputs=(Spec("score", "FP32", (ANY, 2)),)), "it has score FP32"),
    (SCORE._replace(inputs=(Spec("features", "FP32", (ANY, 5)),)), "it has features FP32"),
    (SCORE._replace(content=SCORE.content[:-9]), "not an ONNX file, or a damaged one"),
    (SCORE._replace(content=b"\x89PNG\r\n" * 500), "not an ONNX file"),
    (LOOP, "loops and branches need"),
    (
        SCORE._replace(content=onnx_bytes.model(onnx_bytes.graph(
            [onnx_bytes.node("Gemm", ["features", "w"], ["score"])],
            SCORE.inputs, SCORE.outputs, [onnx_bytes.external("w", "/etc/passwd", (4, 1))],
        ))),
        "its values are in another file; none is opened",
    ),
    (
        ECHO._replace(content=onnx_bytes.model(onnx_bytes.graph(
            [onnx_bytes.node("Reshape", ["x", "z"], ["y"])],
            ECHO.inputs, ECHO.outputs, [onnx_bytes.tensor("z", [5, 5], "INT64")],
        ))),
        "it cannot be run: .*Reshape",
    ),
    (
        ECHO._replace(content=onnx_bytes.model(onnx_bytes.graph(
            [onnx_bytes.node("Div", ["x", "x"], ["y"])], ECHO.inputs, ECHO.outputs,
        )), sample={"inputs": {"x": [0, 1, 1, 1]}, "outputs": {"y": [1]}}),
        r"y\[0\] is nan; the manifest has 1",
    ),
    (
        ECHO._replace(content=onnx_bytes.model(onnx_bytes.graph(
            [onnx_bytes.node("NoSuchOperator", ["x"], ["y"])], ECHO.inputs, ECHO.outputs,
        ))),
        "it cannot be run: .*NoSuchOperator",
    ),
)  # fmt: skip


async def test_what_does_not_is_refused_with_the_reason(trial: Trial, capfd: pytest.CaptureFixture[str]) -> None:
    for small, said in REFUSED:
        error = await refused(trial, small)
        assert re.search(said, str(error))
        assert not error.again
        assert len(str(error)) <= SAID
    assert capfd.readouterr() == ("", "")
    await judged(trial, ECHO)


async def test_what_takes_memory_without_end_is_refused_and_the_next_is_tried(trial: Trial) -> None:
    assert re.search("it cannot be run: .*[Ff]ailed to allocate", str(await refused(trial, GLUTTON)))
    await judged(trial, ECHO)


async def test_an_endless_loop_is_ended_by_the_system_and_the_next_is_tried() -> None:
    trial = Trial(MEMORY, 1.0, 10_000_000)
    endless = LOOP._replace(content=onnx_bytes.loop())
    for _ in range(5):
        error = await refused(trial, endless, control_flow=True)
        if not error.again:  # the machine had a second of CPU time for it
            break
    assert str(error) == "it took more than 1 s of CPU time"
    assert not error.again
    await judged(trial, ECHO)
    await trial.stop()


async def test_the_least_memory_that_may_be_set_is_enough_for_small_ones() -> None:
    trial = Trial(200_000_000, 5.0, 10_000_000)
    await judged(trial, SCORE)
    await trial.stop()


async def test_the_process_can_open_nothing_and_is_one_thread(trial: Trial) -> None:
    await judged(trial, SCORE)
    limits = about(trial, "limits")
    for name, most in (("open files", 0), ("file size", 0), ("processes", 0), ("address space", MEMORY)):
        assert re.search(rf"^Max {name}\s+{most}\s+{most} ", limits, re.MULTILINE), name
    assert re.search(r"^Threads:\s+1$", about(trial, "status"), re.MULTILINE)
    assert about(trial, "environ").count("\0") == 4  # PYTHONPATH and three of ours


def liars(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trying, "_MODULE", "tests.support.trial_liar")


def told(**changes: Any) -> dict[str, Any]:
    passed = {"seconds": 1e-6, "control_flow": False, "nodes": 1, "opset": 17, "parameters": 0}
    return passed | {"outputs": {"score": [0.5]}} | changes


HEARD: tuple[Any, ...] = (
    [],
    5,
    {},
    told(outputs=None),
    told(outputs={"score": 0.5}),
    told(outputs={"score": [{"a": 1}]}),
    told(outputs={"score": [None]}),
    told(outputs={}),
    told(outputs={"score": [0.5] * 10_000}),
    told(seconds=-1),
    told(seconds=float("nan")),
    told(seconds=float("inf")),
    told(seconds=[]),
    told(nodes="many"),
    told(opset=float("inf")),
)
NONSENSE = (b"", b"endless", b"not JSON", b"[" * 1_000, *(json.dumps(each).encode() for each in HEARD))


async def test_whoever_tells_nonsense_is_not_believed(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    liars(monkeypatch)
    for answer in NONSENSE:
        await refused(trial, SCORE._replace(content=answer))


async def test_a_reason_is_believed_and_cut(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    liars(monkeypatch)
    assert len(str(await refused(trial, SCORE._replace(content=json.dumps({"reason": "x" * 1_500}).encode())))) == SAID
    report = await judged(trial, SCORE._replace(content=json.dumps(told()).encode()))
    assert report == Report(1e-6, False, 1, 17, 0)


async def test_who_says_nothing_is_ended_in_time(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    liars(monkeypatch)
    monkeypatch.setattr(trying, "_SLOWER", 0)
    monkeypatch.setattr(trying, "_GRACE", 0.2)
    judging = asyncio.create_task(refused(trial, SCORE._replace(content=b"silence")))
    await eventually(lambda: trial._child is not None)
    silent = pid(trial)
    began = time.monotonic()
    error = await judging
    assert time.monotonic() - began < 5
    assert str(error) == "its trial did not end within 0.2 s"
    assert error.again
    assert is_gone(silent)


@pytest.mark.parametrize(
    ("number", "said", "again"),
    [
        (signal.SIGSEGV, "it ended the process it was tried in by SIGSEGV", False),
        (signal.SIGXCPU, "it took more than 5 s of CPU time", False),
        (signal.SIGKILL, "the process it was tried in was killed", True),
    ],
)
async def test_how_the_process_ended_is_the_reason(
    trial: Trial, monkeypatch: pytest.MonkeyPatch, number: int, said: str, again: bool
) -> None:
    with monkeypatch.context() as patch:
        liars(patch)
        error = await refused(trial, SCORE._replace(content=b"signal %d" % number))
    assert (str(error), error.again) == (said, again)
    await judged(trial, SCORE)


async def test_who_hangs_up_and_lives_on_is_ended(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    liars(monkeypatch)
    monkeypatch.setattr(trying, "_GONE", 0.1)
    judging = asyncio.create_task(refused(trial, SCORE._replace(content=b"departure")))
    await eventually(lambda: trial._child is not None)
    left = pid(trial)
    assert str(await judging) == "it ended the process it was tried in"
    assert is_gone(left)


async def test_a_process_that_does_not_start_is_not_the_versions_fault(
    trial: Trial, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(sys, "executable", "/there/is/none")
        error = await refused(trial, SCORE)
    assert "did not start" in str(error)
    assert error.again
    await judged(trial, SCORE)


async def test_who_waits_no_longer_leaves_no_process_at_work(trial: Trial, monkeypatch: pytest.MonkeyPatch) -> None:
    liars(monkeypatch)
    judging = asyncio.create_task(judged(trial, SCORE._replace(content=b"silence")))
    await eventually(lambda: trial._child is not None)
    left = pid(trial)
    judging.cancel()
    await asyncio.wait((judging,))
    assert judging.cancelled()
    assert is_gone(left)
