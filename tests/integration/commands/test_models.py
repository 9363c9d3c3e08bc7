"""`edgeproxy models list`, `check` and `bench` on folders of models, good and bad."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from edgeproxy.cli import main
from tests.support.models import ECHO, SCORE, SLOW, Small, write
from tests.support.onnx_bytes import external, graph, loop, model, node

LIES = SCORE._replace(sample=SCORE.sample | {"outputs": {"score": [0.9]}})
READS = SCORE._replace(
    content=model(
        graph([node("Identity", ["w"], ["score"])], SCORE.inputs, SCORE.outputs, [external("w", "/etc/passwd")])
    )
)


def call(*arguments: str | Path) -> Result:
    return CliRunner().invoke(main, ["models", *map(str, arguments)])


def told(result: Result) -> Any:
    return json.loads(result.stdout)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write(tmp_path, "echo", {"1": ECHO, "2": ECHO})
    write(tmp_path, "score", {"1": SCORE}, task="score")
    return tmp_path


@pytest.fixture
def cores() -> Iterator[None]:
    """What a measurement narrows is wide again."""
    before = os.sched_getaffinity(0)
    yield
    os.sched_setaffinity(0, before)


def test_the_list_says_what_is_there_and_what_would_serve(folder: Path) -> None:
    result = call("list", "--models", folder)
    assert result.exit_code == 0, result.output
    lines = [line.split() for line in result.stdout.splitlines()]
    assert lines[0] == ["model", "version", "task", "size", "state", "licence"]
    assert [line[:3] + line[5:] for line in lines[1:]] == [
        ["echo", "1", "other", "rests", "Apache-2.0"],
        ["echo", "2", "other", "serves", "Apache-2.0"],
        ["score", "1", "score", "serves", "Apache-2.0"],
    ]


def test_what_the_manifest_puts_into_service_is_listed_so(tmp_path: Path) -> None:
    write(tmp_path, "echo", {"1": ECHO, "2": ECHO, "3": ECHO}, serve=[1])
    write(tmp_path, "two", {"1": ECHO, "2": ECHO, "3": ECHO}, serve={"latest": 2})
    (tmp_path / "two" / "3" / "model.onnx").write_bytes(b"damaged")
    states = [
        (each["model"], each["version"], each["state"]) for each in told(call("list", "--models", tmp_path, "--json"))
    ]
    assert states == [
        *(("echo", "1", "serves"), ("echo", "2", "rests"), ("echo", "3", "rests")),
        *(("two", "1", "serves"), ("two", "2", "serves"), ("two", "3", "refused")),
    ]


def test_a_models_that_cannot_be_read_does_not_hide_the_others(folder: Path) -> None:
    (folder / "score" / "manifest.yaml").write_text("name: score\n")
    result = call("list", "--models", folder)
    assert result.exit_code == 0
    assert "echo" in result.stdout
    assert "score: refused: " in result.stderr
    assert "manifest.yaml" in result.stderr


def test_a_configurations_folder_and_choice_are_taken(folder: Path, tmp_path: Path) -> None:
    file = tmp_path / "edge.yaml"
    file.write_text(
        'listeners: [{address: ":8080"}]\npools: {site: {endpoints: ["http://127.0.0.1:1"]}}\n'
        f"routes: [{{name: all, pool: site}}]\nmodels: {{folder: {folder}, only: [score]}}\n"
    )
    assert {each["model"] for each in told(call("list", "-c", file, "--json"))} == {"score"}


def test_what_came_along_is_listed_where_nothing_else_is_said() -> None:
    assert {"recommender", "digits"} <= {each["model"] for each in told(call("list", "--json"))}


def test_models_that_may_serve_are_checked_and_their_quality_told(tmp_path: Path) -> None:
    write(tmp_path, "score", {"1": SCORE})
    file = tmp_path / "score" / "manifest.yaml"
    file.write_text(file.read_text().replace("    sample:", "    quality: {recall: 0.875}\n    sample:"))
    result = call("check", "--models", tmp_path)
    assert result.exit_code == 0, result.output
    assert "score 1: ok: " in result.stdout
    assert "of CPU a run, inline\n    recall: 0.875\n" in result.stdout
    (found,) = told(call("check", "score", "--models", tmp_path, "--json"))
    assert (found["ok"], found["inline"], found["quality"]) == (True, True, {"recall": 0.875})
    assert 0 < found["cpu"] < 0.01


@pytest.mark.parametrize(
    ("small", "reason"),
    [
        (LIES, "score[0] is 0.5; the manifest has 0.9"),
        (READS, "its values are in another file; none is opened"),
        (SCORE._replace(content=b"\x00" * 100), "not an ONNX file"),
        (SCORE._replace(content=loop()), "need `control_flow: true`"),
        (SCORE._replace(content=ECHO.content), "its inputs are 'x'"),
    ],
)
def test_what_may_not_serve_is_refused_with_its_reason(folder: Path, small: Small, reason: str) -> None:
    write(folder, "bad", {"1": small})
    result = call("check", "--models", folder)
    assert result.exit_code == 1
    assert "bad 1: refused: " in result.stdout
    assert reason in result.stdout
    assert "score 1: ok" in result.stdout
    assert "4 versions, 1 refused" in result.stdout


def test_a_file_that_is_another_or_lies_outside_is_refused(
    folder: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    outside = tmp_path_factory.mktemp("outside") / "model.onnx"
    outside.write_bytes(ECHO.content)
    (folder / "echo" / "1" / "model.onnx").unlink()
    (folder / "echo" / "1" / "model.onnx").symlink_to(outside)
    (folder / "echo" / "2" / "model.onnx").write_bytes(SCORE.content)
    result = call("check", "echo", "--models", folder)
    assert result.exit_code == 1
    assert "echo 1: refused: its file lies outside of the folder of models" in result.stdout
    assert "echo 2: refused: its file's SHA-256 is" in result.stdout
    (folder / "echo" / "1" / "model.onnx").unlink()
    assert "echo 1: refused: its file is not there" in call("check", "--models", folder).stdout


@pytest.mark.usefixtures("cores")
def test_models_are_measured_as_they_would_be_served(folder: Path) -> None:
    write(folder, "slow", {"1": SLOW}, budget="0.1ms")
    result = call("bench", "--models", folder, "--seconds", "0.1", "--json")
    assert result.exit_code == 0, result.output
    rows = {row["model"]: row for row in told(result)}
    assert {name: row["inline"] for name, row in rows.items()} == {"echo": True, "score": True, "slow": False}
    assert rows["echo"]["version"] == "2"
    for row in rows.values():
        assert 0 < row["p50"] <= row["p95"] <= row["p99"]
        assert row["cpu"] > 0
        assert row["runs"] >= 1
    assert rows["slow"]["budget"] == 0.0001
    assert len(os.sched_getaffinity(0)) == 1


@pytest.mark.usefixtures("cores")
def test_a_measurement_is_a_table_with_what_is_over_budget(folder: Path) -> None:
    write(folder, "slow", {"1": SLOW}, budget="0.1ms")
    write(folder, "bad", {"1": LIES})
    result = call("bench", "--models", folder, "--seconds", "0.05")
    assert result.exit_code == 1
    lines = {line.split()[0]: line for line in result.stdout.splitlines() if line}
    assert " thread " in lines["slow"]
    assert lines["slow"].endswith("100 µs  over budget")
    assert "over budget" not in lines["echo"]
    assert "Times belong to this machine" in result.stdout
    assert "bad 1: refused: " in result.stderr


@pytest.mark.parametrize("command", ["check", "bench"])
def test_a_model_that_is_not_there_is_said_with_those_that_are(folder: Path, command: str) -> None:
    result = call(command, "ecko", "--models", folder)
    assert result.exit_code == 1
    assert f"there is no model 'ecko' in {folder}; there is echo, score" in result.stderr


def test_a_folder_that_cannot_be_read_is_said() -> None:
    result = call("list", "--models", "/nowhere")
    assert result.exit_code == 1
    assert "/nowhere cannot be read: No such file or directory" in result.stderr


@pytest.mark.parametrize("command", [[], ["list"], ["check"], ["bench"], ["fit"], ["export"]])
def test_their_help_has_examples(command: list[str]) -> None:
    result = call(*command, "--help")
    assert result.exit_code == 0
    assert "Examples:" in result.output
