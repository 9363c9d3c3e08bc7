"""The model that endpoints are chosen by: what it says, and that a node fits it to its own log."""

from __future__ import annotations

import json
import shutil
import subprocess
import time
from math import log
from pathlib import Path

import numpy as np
import pytest

from edgeproxy.balance.rows import NAMES
from edgeproxy.inference import manifest
from edgeproxy.inference.session import Session
from edgeproxy.training.queueing import logged

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "models/origin-latency"


def newest() -> Session:
    number = max(manifest.load(FOLDER).versions, key=int)
    return Session((FOLDER / number / "model.onnx").read_bytes())


def said(session: Session, rows: list[list[float]]) -> list[float]:
    answers: list[float] = session.run({"rows": np.array(rows, np.float32)})["log_seconds"][:, 0].tolist()
    return answers


def usual(**changes: float) -> list[float]:
    """A member like the others, which takes 10 ms."""
    row = dict.fromkeys(NAMES, 0.0)
    for name in NAMES[:2] + NAMES[3:5]:
        row[name] = log(0.01)
    row |= {"ratio to the pool, all kinds": 1.0, "kind": 1.0, "weight": 1.0, "share": 1.0}
    return list((row | changes).values())


def test_it_takes_what_balancers_know_and_gives_one_number_each() -> None:
    known = manifest.load(FOLDER)
    assert known.inputs[0].shape == (-1, len(NAMES))
    assert known.outputs[0].shape == (-1, 1)
    assert not known.pure  # states hardly ever come twice: keeping what was said would only take memory


def test_what_took_longer_and_what_is_busier_is_expected_later() -> None:
    slower = usual(**{NAMES[0]: log(0.05), NAMES[4]: log(0.05), NAMES[2]: 3.0})
    busier = usual(**{"in hand": 20.0})
    first, *others = said(newest(), [usual(), slower, busier])
    assert first == pytest.approx(log(0.01), abs=0.7)
    assert min(others) > first + 0.2


def test_it_is_nearer_to_the_truth_than_the_plain_expectation_in_a_world_it_has_not_seen() -> None:
    rows, seconds = logged((77,), 2.0)
    truth = np.log(seconds)
    own = np.abs(np.array(said(newest(), rows)) - truth).mean()
    assert own < 0.9 * np.abs(np.array(rows)[:, 0] - truth).mean()


def access_log(path: Path, seconds: float, start: int = 1_800_000_000) -> Path:
    """A log of a simulated pool's answers, as a node writes it."""
    rows, times = logged((5,), seconds)
    lines = []
    for place, (row, taken) in enumerate(zip(rows, times, strict=True)):
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(start + place))
        fields = {"time": stamp, "client": f"192.0.2.{place % 250}", "method": "GET", "target": "/", "bytes": 2}
        choice = [float(f"{number:.4g}") for number in (*row, taken)]
        lines.append(json.dumps({**fields, "status": 200, "choice": choice}) + "\n")
    path.write_text("".join(lines))
    return path


@pytest.mark.slow
def test_a_node_fits_it_to_its_own_log(tmp_path: Path) -> None:
    environment = ROOT / ".venv-models"
    subprocess.run([ROOT / "scripts/setup-models", environment], check=True)
    folder = shutil.copytree(FOLDER, tmp_path / "origin-latency")
    fit = [environment / "bin/edgeproxy", "models", "fit", "origin-latency", "--models", tmp_path, "--log"]

    def fitted(log: Path, *more: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([*fit, log, *more], capture_output=True, text=True, check=False, cwd=ROOT)

    short = fitted(access_log(tmp_path / "short.log", 0.7))
    assert short.returncode == 1
    assert "are too few to learn from" in short.stderr
    done = fitted(access_log(tmp_path / "access.log", 8.0), "--force")
    assert done.returncode == 0, done.stdout + done.stderr
    quality = manifest.load(folder).versions["2"].quality
    assert quality["share of the plain expectation's error that is gone"] > 0.1  # type: ignore[operator]
    assert said(Session((folder / "2/model.onnx").read_bytes()), [usual()])[0] < 0
