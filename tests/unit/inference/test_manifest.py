"""A manifest is taken as it is meant, or all that is wrong with it is said, each with its line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from edgeproxy.config.errors import ConfigErrors
from edgeproxy.inference.manifest import Latest, Manifest, load
from edgeproxy.tensors import ANY, Spec
from tests.support.models import SCORE, manifest

TEXT = """\
name: score
task: score
about: How likely a program asks.
licence: Apache-2.0
data: Heads captured here.
inputs:
  - {name: features, kind: FP32, shape: [-1, 4], features: head/1}
outputs:
  - {name: score, kind: FP32, shape: [-1, 2], labels: [no, 1], softmax: yes}
versions:
  1:
    sha256: SHA
    sample:
      inputs: {features: [1, 2, 4, -0.5]}
      outputs: {score: [0.5, 0.5]}
    quality: {recall: 0.9, of: held-out families}
    histograms:
      features[0]: {edges: [0, 1.5], shares: [0.1, 0.5, 0.4]}
  12:
    sha256: SHA
    sample: {seed: 7, outputs: {score: [0.25]}, within: 0.01}
serve: {latest: 2}
budget: 5ms
batch: {most: 8, wait: 2ms}
default: {score: [0.5, 0.5]}
""".replace("SHA", "ab" * 32)


def written(folder: Path, text: str) -> Path:
    own = folder / "score"
    own.mkdir(exist_ok=True)
    (own / "manifest.yaml").write_text(text)
    return own


def test_a_manifest_is_read_as_it_is_meant(tmp_path: Path) -> None:
    found = load(written(tmp_path, TEXT))
    assert list(found.versions) == ["1", "12"]
    assert found.serve == Latest(latest=2)
    assert found.outputs[0].labels == ("no", "1")
    assert found.inputs[0].spec == Spec("features", "FP32", (ANY, 4))
    assert (found.budget, found.batch and found.batch.wait) == (0.005, 0.002)
    assert found.versions["12"].sample.seed == 7
    assert found.default == {"score": [0.5, 0.5]}


def test_versions_may_be_named_for_service(tmp_path: Path) -> None:
    assert load(written(tmp_path, TEXT.replace("{latest: 2}", "[12]"))).serve == (12,)


@pytest.mark.parametrize(
    ("old", "new", "line", "said"),
    [
        ("name: score\ntask", "name: other\ntask", 1, "name: is not the folder's name, 'score'"),
        ("licence: Apache-2.0\n", "", 1, "licence: is required"),
        ("task: score", "task: scor", 2, "task: must be score"),
        ("budget: 5ms", "bugdet: 5ms", 23, "bugdet: unknown key; did you mean 'budget'?"),
        ("kind: FP32, shape: [-1, 4]", "kind: FLOAT, shape: [-1, 4]", 7, "'FLOAT' is no type; known are BOOL"),
        ("shape: [-1, 4]", "shape: [0, 4]", 7, "shape: lengths are positive, or -1 for any"),
        ("labels: [no, 1]", "labels: [a, b, c]", 9, "are 3, for an axis of another length: score FP32[?, 2]"),
        ("kind: FP32, shape: [-1, 2]", "kind: INT64, shape: [-1, 2]", 9, "makes probabilities of fractions"),
        ("  12:\n", "  012:\n", 19, "a version is a whole number: 1, 2, 3"),
        ("  12:\n", "  1:\n", 19, "given twice; the first is in line 11"),
        ("abab\n    sample:\n", "ABAB\n    sample:\n", 12, "a SHA-256 has 64 digits"),
        ("{features: [1, 2, 4, -0.5]}", "{features: [1, 2, 4]}", 14, "it has 3 values; features FP32[?, 4] takes 4"),
        ("{features: [1, 2, 4, -0.5]}", "{x: [1]}", 14, "must be those of the model: features"),
        ("{features: [1, 2, 4, -0.5]}", "{features: [1, 2, 4, a]}", 14, "not all of its values are FP32"),
        ("outputs: {score: [0.5, 0.5]}\n    q", "outputs: {y: [0.5]}\n    q", 15, "no such output; known are score"),
        ("outputs: {score: [0.5, 0.5]}\n    q", "outputs: {score: [x]}\n    q", 15, "not all of its values are FP32"),
        ("outputs: {score: [0.5, 0.5]}\n    q", "outputs: {}\n    q", 15, "must not be empty"),
        ("{seed: 7,", "{seed: 7, inputs: {features: [1]},", 21, "are given, and a seed to draw them by"),
        ("edges: [0, 1.5]", "edges: [1.5, 0]", 18, "must ascend"),
        ("edges: [0, 1.5]", "edges: [0]", 18, "are 3; 1 edges make 2"),
        ("[0.1, 0.5, 0.4]", "[0.1, 0.5, 0.1]", 18, "must be 0 or more, and 1 together"),
        ("{latest: 2}", "[1, 3]", 22, "there is no version 3; known are 1, 12"),
        ("shape: [-1, 4]", "shape: [1, 4]", 24, "needs a free first length, -1, everywhere; features FP32[1, 4]"),
        ("default: {score: [0.5, 0.5]}", "default: {score: [0.5]}", 25, "it has 1 values; score FP32[?, 2] takes 2"),
        ("default: {score: [0.5, 0.5]}", "default: {y: [0.5]}", 1, "default: names all outputs and nothing else"),
        ("features: head/1", "pixels: {width: 3, height: 1}", 7, "are 9 numbers, 3 x 1 x 3; features FP32[?, 4] takes"),
        (
            "features: head/1",
            "pixels: {width: 2, height: 2, channels: grey, deviation: 0}",
            7,
            "needs one number, or one for each of 1 channels, and no deviation is 0",
        ),
        (
            "features: head/1",
            "features: head/1, pixels: {width: 2, height: 2, channels: grey}",
            7,
            "an input is made of pixels, or of features",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_with_its_line(tmp_path: Path, old: str, new: str, line: int, said: str) -> None:
    assert old in TEXT
    with pytest.raises(ConfigErrors) as refused:
        load(written(tmp_path, TEXT.replace(old, new, 1)))
    first = str(refused.value.errors[0])
    assert f"manifest.yaml:{line}:" in first
    assert said in str(refused.value)


def test_all_that_is_wrong_is_said_at_once(tmp_path: Path) -> None:
    text = (
        TEXT.replace("[0, 1.5]", "[1.5, 0]")
        .replace("{latest: 2}", "[3]")
        .replace("default: {score: [0.5,", "default: {score: [")
    )
    with pytest.raises(ConfigErrors) as refused:
        load(written(tmp_path, text))
    assert [error.line for error in refused.value.errors] == [18, 22, 25]


def test_what_is_not_there_or_no_text_is_an_error_without_a_traceback(tmp_path: Path) -> None:
    with pytest.raises(ConfigErrors, match="cannot be read"):
        load(tmp_path / "none")
    (tmp_path / "manifest.yaml").write_bytes(b"name: \xff")
    with pytest.raises(ConfigErrors, match="not UTF-8"):
        load(tmp_path)
    (tmp_path / "manifest.yaml").write_text("&a [*a]")
    with pytest.raises(ConfigErrors):
        load(tmp_path)


@pytest.mark.parametrize(
    "changes",
    [
        {"inputs": [{"name": "x", "kind": "FP32", "shape": [1]}] * 2},
        {"inputs": []},
        {"versions": {}},
        {"serve": []},
        {"outputs": [{"name": "score", "kind": "FP32", "shape": [1] * 9}]},
    ],
)
def test_what_makes_no_model_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValueError):
        Manifest.model_validate(manifest("score", {"1": SCORE}) | changes)


def test_no_variable_of_the_environment_gets_into_a_manifest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "hunter2")
    with pytest.raises(ConfigErrors, match="SECRET is not set"):
        load(written(tmp_path, TEXT.replace("How likely", "${SECRET}")))


def test_what_tests_write_is_a_manifest(tmp_path: Path) -> None:
    load(written(tmp_path, yaml.safe_dump(manifest("score", {"1": SCORE}))))
