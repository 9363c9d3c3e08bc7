"""Outcomes are kept by what was asked, within bounds of bytes and age."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeproxy.inference.manifest import Manifest
from edgeproxy.inference.results import LARGEST, WORTHWHILE, Results
from edgeproxy.inference.version import Outcome, Version
from tests.support.models import SCORE, manifest


def version(seconds: float = 1.0, sha256: str = "a" * 64, **changes: Any) -> Version:
    told = Manifest.model_validate(manifest("score", {"1": SCORE}, **changes))
    spec = told.versions["1"].model_copy(update={"sha256": sha256})
    return Version(told, "1", spec, None, seconds, inline=False)  # type: ignore[arg-type]


def asked(*values: float) -> dict[str, Any]:
    return {"features": np.array([values], np.float32)}


def outcome(size: int = 1) -> Outcome:
    return Outcome({"score": np.zeros(size, np.uint8)}, "score", "1", "edge", 0.5)


@pytest.fixture
def now() -> list[float]:
    return [100.0]


@pytest.fixture
def results(now: list[float]) -> Results:
    return Results(100_000, 60, lambda: now[0])


def test_an_equal_question_has_the_outcome_and_says_that_it_was_kept(results: Results) -> None:
    key = results.key(version(), asked(1, 2, 3, 4))
    assert results.get(key) is None
    results.put(key, outcome())
    kept = results.get(results.key(version(), asked(1, 2, 3, 4)))
    assert kept is not None
    assert (kept.kept, kept.seconds, kept.tensors["score"].flags.writeable) == (True, 0.0, False)


def test_whatever_differs_is_another_question(results: Results) -> None:
    text = {"features": np.array([["ab", "c"]], object)}
    other = {"features": np.array([["a", "bc"]], object)}
    questions = [asked(1, 2), asked(2, 1), {"other": asked(1, 2)["features"]}, text, other]
    questions += [{"features": asked(1, 2)["features"].astype(np.float64)}]
    questions += [{"features": asked(1, 2)["features"].reshape(2, 1)}]
    keys = {results.key(version(), question) for question in questions}
    keys.add(results.key(version(sha256="b" * 64), asked(1, 2)))
    assert len(keys) == len(questions) + 1


def test_what_is_not_pure_or_quicker_than_keeping_is_not_kept(results: Results) -> None:
    assert results.key(version(pure=False), asked(1)) == b""
    assert results.key(version(seconds=WORTHWHILE / 2), asked(1)) == b""
    assert Results(0, 60, lambda: 0.0).key(version(), asked(1)) == b""


def test_it_is_gone_when_its_time_is_over_or_its_model_changed(results: Results, now: list[float]) -> None:
    for key in (b"a", b"b"):
        results.put(key, outcome())
    now[0] += 60
    assert results.get(b"a") is None
    results.forget("other")
    assert len(results) == 1
    results.forget("score")
    assert (len(results), results.size) == (0, 0)


def test_the_one_asked_for_longest_ago_makes_room(results: Results) -> None:
    for name in (b"a", b"b", b"c"):
        results.put(name, outcome(24_000))
    results.get(b"a")
    results.put(b"d", outcome(24_000))
    results.put(b"e", outcome(24_000))
    assert [name for name in (b"a", b"b", b"c", b"d", b"e") if results.get(name)] == [b"a", b"c", b"d", b"e"]
    results.put(b"f", outcome(50_000))
    assert results.get(b"f") is None, "one must not take the place of all"
    assert results.size <= 100_000


def test_what_takes_long_to_hash_is_not_looked_up(results: Results) -> None:
    assert results.key(version(), {"features": np.zeros(LARGEST, np.uint8)})
    assert results.key(version(), {"features": np.zeros(LARGEST + 1, np.uint8)}) == b""
