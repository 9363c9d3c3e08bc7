"""A trained version put on the shelf."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from edgeproxy.inference import manifest
from edgeproxy.training import shelf
from edgeproxy.training.shelf import Quality, Trained

HEAD = """\
# By hand.
name: score
task: score # and its reason
about: A model to test with.
licence: Apache-2.0
data: none
inputs: [{name: x, kind: FP32, shape: [-1, 2]}]
outputs: [{name: y, kind: FP32, shape: [-1, 1]}]
"""
CARD = """\
# score

Above.

<!-- quality -->
| measure | value |
| --- | --- |
| old | 1 |
<!-- /quality -->

Below.
"""
QUALITY: Quality = {"ROC AUC, held out": 0.91, "rows, held out": 1200, "kind": "linear: two weights"}
FIRST = Trained(b"first", QUALITY, {"inputs": {"x": [0.5, 1.0]}, "outputs": {"y": [0.25]}})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "score"
    made.mkdir()
    (made / manifest.FILE).write_text(HEAD)
    (made / shelf.CARD).write_text(CARD)
    return made


def test_a_version_gets_its_file_its_entry_and_its_table(folder: Path) -> None:
    shelf.put(folder, "1", FIRST._replace(histograms={"x": {"edges": [0, 1], "shares": [0.1, 0.8, 0.1]}}))
    assert (folder / "1/model.onnx").read_bytes() == b"first"
    spec = manifest.load(folder).versions["1"]
    assert spec.sha256 == hashlib.sha256(b"first").hexdigest()
    assert dict(spec.quality) == QUALITY
    assert spec.sample.inputs == {"x": [0.5, 1.0]}
    assert spec.histograms["x"].shares == (0.1, 0.8, 0.1)
    text = (folder / shelf.CARD).read_text()
    assert shelf.tabled(text) == {what: str(value) for what, value in QUALITY.items()}
    assert text.startswith("# score\n\nAbove.\n")
    assert text.endswith("\n\nBelow.\n")
    assert "old" not in text


def test_what_stands_before_the_versions_stays_as_it_was_written(folder: Path) -> None:
    for content in (b"first", b"again"):
        shelf.put(folder, "1", FIRST._replace(model=content))
    text = (folder / manifest.FILE).read_text()
    assert text.startswith(HEAD)
    assert text.count("versions:") == 1
    assert shelf.head(text) == HEAD == shelf.head(HEAD)


def test_other_versions_stay(folder: Path) -> None:
    shelf.put(folder, "1", FIRST)
    shelf.put(folder, "2", FIRST._replace(model=b"second", quality={"ROC AUC, held out": 0.95}))
    versions = manifest.load(folder).versions
    assert {number: spec.sha256 for number, spec in versions.items()} == {
        "1": hashlib.sha256(b"first").hexdigest(),
        "2": hashlib.sha256(b"second").hexdigest(),
    }
    assert (folder / "1/model.onnx").read_bytes() == b"first"
    assert shelf.tabled((folder / shelf.CARD).read_text()) == {"ROC AUC, held out": "0.95"}


def test_a_card_without_a_table_says_nothing() -> None:
    assert shelf.tabled("# score\n") == {}


@pytest.mark.parametrize(
    ("measured", "told"),
    [
        ({}, []),
        ({"ROC AUC, held out": 0.914}, []),
        ({"ROC AUC, held out": 0.92}, ["ROC AUC, held out: 0.91 shipped, 0.92 now"]),
        ({"rows, held out": 1203}, []),
        ({"rows, held out": 1300}, ["rows, held out: 1200 shipped, 1300 now"]),
        ({"kind": "forest"}, ["kind: linear: two weights shipped, forest now"]),
        ({"ROC AUC, held out": "good"}, ["ROC AUC, held out: 0.91 shipped, good now"]),
        ({"more": 1}, ["more: only here"]),
    ],
)
def test_what_is_not_as_shipped_is_told(measured: Quality, told: list[str]) -> None:
    assert shelf.differences(QUALITY, QUALITY | measured) == told


def test_a_measure_that_is_gone_is_told() -> None:
    assert shelf.differences({"a": 1}, {}) == ["a: 1 shipped, None now"]
