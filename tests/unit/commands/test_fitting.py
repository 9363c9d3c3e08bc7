"""What a train.py has to have, and how a version made from logs is judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from edgeproxy.commands.fitting import Trainer, described, judged, trainer
from edgeproxy.features.log import Record

WHOLE = "MEASURE = 'recall'\ndef fit(rows, seed, progress): ...\ndef score(model, rows): ...\n"


def written(folder: Path, text: str) -> Path:
    own = folder / "toy-model"
    own.mkdir()
    (own / "train.py").write_text(text)
    return own


def test_a_train_file_is_loaded_by_its_path(tmp_path: Path) -> None:
    assert trainer(written(tmp_path, WHOLE)).measure == "recall"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        (WHOLE.replace("MEASURE", "OTHER"), "toy-model is not made from logs: its train.py has no MEASURE"),
        (WHOLE.replace("def fit", "def train"), "has no fit"),
        ("import no_such_package\n", r"needs no_such_package, .* pip install 'edgeproxy\[models\]'"),
        ("def fit(:\n", r"toy-model/train.py:1: "),
    ],
)
def test_what_a_train_file_lacks_is_said(tmp_path: Path, text: str, why: str) -> None:
    with pytest.raises(ValueError, match=why):
        trainer(written(tmp_path, text))


def test_a_model_without_a_train_file_cannot_be_fitted(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"toy-model has no train.py"):
        trainer(tmp_path / "toy-model")


def judge(before: Any, after: Any) -> bool:
    values = {b"before": before, b"after": after}
    made = Trainer(lambda *_: None, lambda model, _: {"n": 3, "recall": values[model]}, "recall")  # type: ignore[arg-type,return-value]
    return judged(made, b"before", b"after", []).is_worse


def test_the_measure_decides_and_more_is_better() -> None:
    assert judge(0.8, 0.7)
    assert not judge(0.8, 0.8)
    assert not judge(0.8, 0.9)


@pytest.mark.parametrize(("before", "after"), [(0.5, float("nan")), (float("nan"), 0.5), (0.5, "good"), (0.5, None)])
def test_what_cannot_be_compared_is_not_taken_for_better(before: Any, after: Any) -> None:
    with pytest.raises(ValueError, match="'recall' cannot be measured"):
        judge(before, after)


def test_where_nothing_is_there_anything_is_better() -> None:
    made = Trainer(lambda *_: None, lambda *_: {"recall": 0.0}, "recall")  # type: ignore[arg-type,return-value]
    assert not judged(made, None, b"after", []).is_worse


def test_a_version_says_what_it_was_made_from() -> None:
    records = [Record(time, "192.0.2.7", "GET", "/", 200, 1) for time in (0, 60, 86_400)]
    assert described(records[:2], records[2:]) == {
        "records fitted to": 2,
        "records held out": 1,
        "log from": "1970-01-01 00:00:00 UTC",
        "held out from": "1970-01-02 00:00:00 UTC",
        "log to": "1970-01-02 00:00:00 UTC",
    }
