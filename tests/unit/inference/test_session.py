"""A file is loaded from its bytes and run; what the runtime says of a bad one is one line."""

from __future__ import annotations

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from edgeproxy.inference.session import RunError, Session, Stop
from edgeproxy.tensors import ANY, Spec
from tests.support import onnx_bytes
from tests.support.models import SCORE, SLOW


def rows(*values: list[float]) -> dict[str, np.ndarray]:  # type: ignore[type-arg]
    return {"features": np.array(values, np.float32)}


def test_it_says_what_goes_in_and_what_comes_out() -> None:
    session = Session(SCORE.content)
    assert session.inputs == (Spec("features", "FP32", (ANY, 4)),)
    assert session.outputs == (Spec("score", "FP32", (ANY, 1)),)
    assert repr(session) == "<Session features FP32[?, 4] → score FP32[?, 1]>"


def test_here_and_on_a_thread_it_says_the_same_whatever_the_rows() -> None:
    session = Session(SCORE.content)
    for question in (rows([1, 2, 4, -0.5]), rows([0, 0, 0, 1], [1, 1, 1, 1]), rows([9, 9, 9, 9])):
        for _ in range(2):
            assert np.allclose(session.run_here(question)["score"], session.run(question)["score"])


def test_an_answer_given_here_stays_as_it_is_when_others_ask() -> None:
    session = Session(SCORE.content)
    session.run_here(rows([0, 0, 0, 0]))
    first = session.run_here(rows([1, 2, 4, -0.5]))["score"]
    session.run_here(rows([0, 0, 0, 9]))
    assert first[0, 0] == pytest.approx(0.5)


def test_what_is_no_model_is_refused_in_one_line() -> None:
    with pytest.raises(RunError) as refused:
        Session(b"no model at all")
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) <= 300


def test_what_it_does_not_take_is_an_error_and_no_end() -> None:
    session = Session(SCORE.content)
    for run in (session.run, session.run_here):
        with pytest.raises(RunError):
            run({"features": np.zeros((1, 5), np.float32)})
    assert session.run(rows([0, 0, 0, 0]))["score"][0, 0] == pytest.approx(0.5)


def test_a_run_is_stopped_from_another_thread() -> None:
    session, stop = Session(onnx_bytes.steady(256, 4_000)), Stop()
    with ThreadPoolExecutor(1) as pool:
        running = pool.submit(session.run, {"x": np.full((1, 1), 0.5, np.float32)}, stop)
        stop.now()
        with pytest.raises(RunError):
            running.result(30)
    assert Session(SLOW.content).run({"x": np.full((1, 1), 0.5, np.float32)})["y"].shape == (1, 1)


def test_the_runtime_keeps_no_files_and_no_thread_to_tell_its_maker_of_its_use(tmp_path: Path) -> None:
    code = "import os, edgeproxy.inference.session; print(len(os.listdir('/proc/self/task')))"
    plain = "import os, numpy, pydantic; print(len(os.listdir('/proc/self/task')))"
    threads = [
        subprocess.run(
            [sys.executable, "-c", each], env={"HOME": str(tmp_path)}, capture_output=True, check=True
        ).stdout
        for each in (plain, code)
    ]
    assert threads[0] == threads[1]
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]
