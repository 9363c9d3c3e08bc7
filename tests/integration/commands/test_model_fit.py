"""`edgeproxy models fit` and `export`: logs to a version that serves, or a reason why not."""

from __future__ import annotations

import gzip
import json
import time
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from edgeproxy.cli import main
from edgeproxy.inference.manifest import load
from tests.support.models import SCORE, write
from tests.support.onnx_bytes import identity

# Learns which share of requests fails, and answers that whatever it is asked: needs nothing that is for training.
TRAIN = """
import math
import numpy as np
from edgeproxy.inference.session import Session
from edgeproxy.training.shelf import Trained
from tests.support.onnx_bytes import logistic

MEASURE = "closeness"

def share(rows):
    return sum(row.status >= 400 for row in rows) / len(rows)

def fit(rows, seed, progress):
    progress(f"learning from {len(rows)}, seed {seed}")
    if share(rows) == 0:
        raise ValueError("nothing failed")
    learnt = min(max(share(rows), 0.001), 0.999)
    sample = {"inputs": {"features": [0, 0, 0, 0]}, "outputs": {"score": [learnt]}}
    return Trained(logistic((0, 0, 0, 0), math.log(learnt / (1 - learnt))), {"closeness": -1.0, "seed": seed}, sample)

def score(model, rows):
    told = Session(model).run({"features": np.zeros((1, 4), np.float32)})["score"]
    return {"requests": len(rows), "closeness": round(-abs(float(told[0, 0]) - share(rows)), 4)}
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """With a model that takes half of all requests for failing."""
    folder = tmp_path / "models"
    own = write(folder, "toy", {"1": SCORE})
    (own / "train.py").write_text(TRAIN)
    return folder


def log(path: Path, failing: float, count: int = 1000, later: float | None = None, start: int = 1_800_000_000) -> Path:
    """A log of as many requests in as many minutes; ``later`` is the failing share of its newest fifth."""
    lines = []
    for place in range(count):
        share = later if later is not None and place >= count * 0.8 else failing
        status = 500 if place % 10 / 10 < share else 200
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S.000Z", time.gmtime(start + 60 * place))
        fields = {"time": stamp, "client": f"192.0.2.{place % 250}", "method": "GET", "target": f"/{place}"}
        lines.append(json.dumps(fields | {"status": status, "bytes": 10, "duration": 0.1}) + "\n")
    content = "".join(lines).encode()
    path.write_bytes(gzip.compress(content) if path.suffix == ".gz" else content)
    return path


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["models", *map(str, arguments)])


def fit(folder: Path, *arguments: str | Path) -> Result:
    return call("fit", "toy", "--models", folder, *arguments)


def versions(folder: Path) -> set[str]:
    """Those of the manifest, which are those whose files are there."""
    found = set(load(folder / "toy").versions)
    assert found == {each.parent.name for each in (folder / "toy").glob("*/model.onnx")}
    return found


def test_a_better_version_is_written_and_may_serve(folder: Path, tmp_path: Path) -> None:
    result = fit(folder, "--log", log(tmp_path / "access.log", 0.1), "--seed", "7")
    assert result.exit_code == 0, result.output
    assert "learning from 800, seed 7" in result.stderr
    assert f"toy 2: written to {folder / 'toy' / '2'}" in result.stdout
    assert result.stdout.splitlines()[1].split() == ["closeness", "-0.4", "-0.0"]
    quality = load(folder / "toy").versions["2"].quality
    assert (quality["records fitted to"], quality["records held out"], quality["requests"]) == (800, 200, 200)
    assert (quality["closeness"], quality["seed"]) == (-0.0, 7)
    assert quality["log from"] == "2027-01-15 08:00:00 UTC"
    assert call("check", "toy", "--models", folder).exit_code == 0
    listed = json.loads(call("list", "--models", folder, "--json").stdout)
    assert {each["version"]: each["state"] for each in listed} == {"1": "rests", "2": "serves"}


def test_a_worse_version_is_not_written_unless_it_is_forced(folder: Path, tmp_path: Path) -> None:
    turned = log(tmp_path / "access.log", 0.1, later=0.5)  # what was learnt from the older part does not hold any more
    before = (folder / "toy" / "manifest.yaml").read_bytes()
    result = fit(folder, "--log", turned)
    assert result.exit_code == 1
    assert "by 'closeness' it is worse than what is there: nothing was written" in result.stderr
    assert versions(folder) == {"1"}
    assert (folder / "toy" / "manifest.yaml").read_bytes() == before
    assert fit(folder, "--log", turned, "--force").exit_code == 0
    assert versions(folder) == {"1", "2"}


def test_what_is_there_is_judged_on_the_same_records(folder: Path, tmp_path: Path) -> None:
    assert fit(folder, "--log", log(tmp_path / "one.log", 0.1)).exit_code == 0
    result = fit(folder, "--log", log(tmp_path / "other.log", 0.3))
    assert result.exit_code == 0, result.output
    assert "version 2" in result.stdout
    assert result.stdout.splitlines()[1].split() == ["closeness", "-0.2", "-0.0"]


def test_a_version_there_that_may_not_serve_is_no_measure(folder: Path, tmp_path: Path) -> None:
    (folder / "toy" / "1" / "model.onnx").write_bytes(b"damaged")
    result = fit(folder, "--log", log(tmp_path / "access.log", 0.1, later=0.5))
    assert result.exit_code == 0, result.output
    assert "nothing there" in result.stdout


def test_several_logs_are_read_packed_or_not_in_any_order(folder: Path, tmp_path: Path) -> None:
    late = log(tmp_path / "access.log", 0.1, 500, start=1_800_100_000)
    early = log(tmp_path / "access.log.1.gz", 0.3, 500)
    late.write_bytes(late.read_bytes() + b"damaged\n{}\n")
    result = fit(folder, "--log", late, "--log", early)
    assert "1000 requests, 1000 of them drawn, 2 lines that are none" in result.stderr
    quality = load(folder / "toy").versions["2"].quality
    assert str(quality["log from"]).startswith("2027-01-15 08:00:00")
    assert str(quality["log to"]).startswith("2027-01-16")


def test_memory_has_a_bound_whatever_the_log(folder: Path, tmp_path: Path) -> None:
    result = fit(folder, "--log", log(tmp_path / "access.log", 0.1, 3000), "--records", "1000")
    assert result.exit_code == 0, result.output
    assert "3000 requests" in result.stderr
    quality = load(folder / "toy").versions["2"].quality
    assert 900 < int(quality["records fitted to"]) + int(quality["records held out"]) <= 1000


def test_the_same_log_and_seed_give_the_same_file_and_no_second_version(folder: Path, tmp_path: Path) -> None:
    path = log(tmp_path / "access.log", 0.1)
    assert fit(folder, "--log", path).exit_code == 0
    result = fit(folder, "--log", path)
    assert result.exit_code == 1
    assert "version 2 is this very file" in result.stderr
    assert versions(folder) == {"1", "2"}


def test_a_manifest_that_names_what_serves_has_to_be_changed_by_hand(folder: Path, tmp_path: Path) -> None:
    write(folder, "toy", {"1": SCORE}, serve=[1])
    result = fit(folder, "--log", log(tmp_path / "access.log", 0.1))
    assert "put 2 there for it to answer" in result.stderr


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (("MEASURE", "OTHER"), "toy is not made from logs: its train.py has no MEASURE"),
        (("import math", "import no_such_package"), "pip install 'edgeproxy[models]'"),
        (("learnt = ", "import no_such_package; learnt = "), "fitting needs no_such_package"),
        (("[learnt]", "[0.9]"), "what was made may not serve: to its sample, score[0] is 0.1"),
        (('"closeness": round', '"other": round'), "'closeness' cannot be measured"),
        (('"features": [0,', '"other": [0,'), "what was made may not serve: "),
        (("return Trained(logistic", "return Trained((lambda *_: b'no model')"), "not an ONNX file"),
    ],
)
def test_what_cannot_be_made_is_said_and_nothing_written(
    folder: Path, tmp_path: Path, change: tuple[str, str], why: str
) -> None:
    assert change[0] in TRAIN
    (folder / "toy" / "train.py").write_text(TRAIN.replace(*change))
    result = fit(folder, "--log", log(tmp_path / "access.log", 0.1))
    assert result.exit_code == 1
    assert why in result.stderr
    assert isinstance(result.exception, SystemExit)
    assert versions(folder) == {"1"}


def test_a_log_that_teaches_nothing_is_said(folder: Path, tmp_path: Path) -> None:
    path = tmp_path / "access.log"
    assert "499 requests are too few; 500 are needed" in fit(folder, "--log", log(path, 0.1, 499)).stderr
    assert "Error: nothing failed" in fit(folder, "--log", log(path, 0.0)).stderr
    line = log(path, 0.1, 1).read_bytes()
    path.write_bytes(line * 600)
    assert "no older part to learn from" in fit(folder, "--log", path).stderr
    broken = tmp_path / "access.log.gz"
    broken.write_bytes(log(tmp_path / "whole.gz", 0.1).read_bytes()[:-20])
    result = fit(folder, "--log", broken)
    assert (result.exit_code, isinstance(result.exception, SystemExit)) == (1, True)
    assert "Compressed file ended" in result.stderr
    assert versions(folder) == {"1"}


def test_a_folder_that_may_not_be_written_is_said(folder: Path, tmp_path: Path) -> None:
    (folder / "toy" / ".manifest.yaml.new").mkdir()
    result = fit(folder, "--log", log(tmp_path / "access.log", 0.1))
    assert result.exit_code == 1
    assert ".manifest.yaml.new" in result.stderr
    assert versions(folder) == {"1"}


def test_weights_are_written_alone(folder: Path, tmp_path: Path) -> None:
    out = tmp_path / "toy.safetensors"
    result = call("export", "toy", "--models", folder, "--weights", out)
    assert result.exit_code == 0, result.output
    assert "toy 1: 2 tensors, 5 values" in result.stderr
    content = out.read_bytes()
    length = int.from_bytes(content[:8], "little")
    header = json.loads(content[8 : 8 + length])
    assert header["__metadata__"] == {
        "model": "toy",
        "version": "1",
        "sha256": load(folder / "toy").versions["1"].sha256,
    }
    assert header["w"]["shape"] == [4, 1]
    assert len(content) == 8 + length + 5 * 4


def test_weights_go_to_a_pipe(folder: Path) -> None:
    result = call("export", "toy", "--models", folder, "--weights", "-")
    assert result.stdout_bytes[8:9] == b"{"


def test_what_cannot_be_exported_is_said(folder: Path, tmp_path: Path) -> None:
    echo = SCORE._replace(content=identity(), inputs=(SCORE.inputs[0]._replace(name="x"),))
    echo = echo._replace(outputs=(echo.inputs[0]._replace(name="y"),))
    write(folder, "echo", {"1": echo._replace(sample={"inputs": {"x": [1, 2, 3, 4]}, "outputs": {"y": [1]}})})
    out = tmp_path / "weights"
    for arguments, why in (
        (["toy", "--version", "7"], "toy has no version '7'; it has 1"),
        (["echo"], "echo 1 has no weights beside its graph"),
        (["nothing"], "there is no model 'nothing'"),
    ):
        result = call("export", *arguments, "--models", folder, "--weights", out)
        assert result.exit_code == 1
        assert why in result.stderr
    (folder / "toy" / "1" / "model.onnx").write_bytes(b"damaged")
    assert "SHA-256" in call("export", "toy", "--models", folder, "--weights", out).stderr
    assert not out.exists()
