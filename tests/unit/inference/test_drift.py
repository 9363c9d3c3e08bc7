"""What comes in is held against where the training data lay."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeproxy.inference.drift import LEAST, WINDOW, Drift, psi
from edgeproxy.inference.manifest import Manifest
from edgeproxy.inference.version import Version
from edgeproxy.observe.metrics import Metrics
from tests.support.models import SCORE, manifest

EVEN = {"edges": [1.0, 2.0], "shares": [0.25, 0.5, 0.25]}


@pytest.fixture
def metrics() -> Metrics:
    return Metrics()


def version(histograms: dict[str, Any]) -> Version:
    told = manifest("score", {"1": SCORE})
    told["versions"]["1"]["histograms"] = histograms
    made = Manifest.model_validate(told)
    return Version(made, "1", made.versions["1"], None, 1.0, inline=True)  # type: ignore[arg-type]


def told(drift: Drift) -> dict[str, float]:
    return {labels[2]: value for labels, value in drift._read()}


def look(drift: Drift, model: Version, values: list[float]) -> None:
    for value in values:
        drift.look(model, {"features": np.array([[value, 0, 0, 0]], np.float32)}, {"score": np.zeros((1, 1))})


def test_the_index_is_nought_for_the_same_and_large_for_the_opposite() -> None:
    assert psi([0.25, 0.5, 0.25], [0.25, 0.5, 0.25]) == 0
    assert 0 < psi([0.3, 0.45, 0.25], [0.25, 0.5, 0.25]) < 0.1
    assert psi([1, 0], [0, 1]) > 1


def test_what_moves_away_is_told_once_there_is_enough_of_it(metrics: Metrics) -> None:
    drift, model = Drift(1.0, metrics), version({"features[0]": EVEN, "score[0]": EVEN, "unknown": EVEN})
    look(drift, model, [0.5, 1.5, 1.5, 2.5] * (LEAST // 4 - 1))
    assert told(drift) == {}
    look(drift, model, [0.5, 1.5, 1.5, 2.5])
    assert told(drift)["features[0]"] == pytest.approx(0)
    assert set(told(drift)) == {"features[0]", "score[0]"}
    look(drift, model, [9.0] * WINDOW)
    assert told(drift)["features[0]"] > 1
    drift.forget("score")
    assert told(drift) == {}


def test_a_share_of_the_questions_is_looked_at(metrics: Metrics) -> None:
    model = version({"features[0]": EVEN})
    for share, enough in ((0.5, 2 * LEAST), (0.0, 0)):
        drift = Drift(share, Metrics())
        look(drift, model, [1.5] * (2 * LEAST - 2))
        assert told(drift) == {}
        look(drift, model, [1.5] * 2)
        assert bool(told(drift)) == bool(enough)
