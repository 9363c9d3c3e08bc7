"""What models are asked: heads, texts and pictures as their inputs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeproxy.features import table
from edgeproxy.http.message import Request
from edgeproxy.inference.inputs import PICTURES, TEXTS, Inputs
from edgeproxy.inference.manifest import InputSpec
from edgeproxy.tensors import Array
from tests.support.oracle import HEAD, TEXT, manifest

PIXELS = {"name": "pixels", "kind": "FP32", "shape": [-1, 1, 2, 2], "pixels": {"width": 2, "height": 2}}
RUNS = {"name": "runs", "kind": "FP32", "shape": [-1, 4096], "features": "text/1"}
ASKED = Request(b"GET", b"/", {b"user-agent": b"Mozilla/5.0", b"accept": b"*/*"})


@pytest.fixture(autouse=True)
def head(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(table.TABLE, "head/1", table.Row("request", "tests.support.oracle", "head"))


async def decode(content: bytes, spec: InputSpec) -> Array:
    if content != b"a picture":
        raise ValueError("no picture")
    return np.zeros((1, 1, 2, 2), np.float32)


def inputs(*given: Any, content: bool = True, **named: str) -> Inputs:
    return Inputs(manifest(inputs=given), named, content=content, decode=decode)


def test_a_head_is_one_row_of_its_input() -> None:
    tensors = inputs(HEAD, content=False).of_head(ASKED)
    assert tensors["features"].tolist() == [[1, 2]]
    assert tensors["features"].dtype == np.float32


async def test_a_text_is_taken_as_it_is_or_as_numbers() -> None:
    made = inputs(TEXT, RUNS)
    assert made.types == TEXTS
    tensors = await made.of_content(ASKED, b"a t\xffxt")
    assert tensors["text"].tolist() == ["a t\ufffdxt"]
    assert tensors["runs"].shape == (1, 4096)
    assert tensors["runs"].any()


async def test_a_picture_is_what_decoding_makes_of_it() -> None:
    made = inputs(PIXELS)
    assert made.types == PICTURES
    assert (await made.of_content(ASKED, b"a picture"))["pixels"].shape == (1, 1, 2, 2)
    with pytest.raises(ValueError, match="no picture"):
        await made.of_content(ASKED, b"a cat")


async def test_a_body_may_be_asked_about_together_with_its_head() -> None:
    tensors = await inputs(HEAD, TEXT).of_content(ASKED, b"text")
    assert sorted(tensors) == ["features", "text"]


def test_features_may_be_named_in_place_of_the_manifests() -> None:
    plain = {"name": "features", "kind": "FP32", "shape": [-1, 2]}
    assert inputs(plain, content=False, features="head/1").of_head(ASKED)["features"].tolist() == [[1, 2]]


@pytest.mark.parametrize(
    ("given", "content", "named", "why"),
    [
        ((RUNS,), False, {}, "'runs' cannot be fed by this rule: it is made by text/1, which looks at a text"),
        ((PIXELS,), False, {}, "'pixels' cannot be fed by this rule: nothing here makes it"),
        (({"name": "x", "kind": "FP32", "shape": [-1]},), True, {}, "nothing here makes it"),
        ((TEXT,), True, {"texts": "text/1"}, "'score' has no input 'texts'"),
        ((TEXT,), True, {"text": "text/7"}, "'text/7' is no features known here"),
        ((HEAD,), True, {}, "'score' takes neither a text nor a picture"),
        ((HEAD | {"shape": [-1, 3]},), False, {}, r"features FP32\[\?, 3\] has no place for what its function makes"),
    ],
)
def test_what_cannot_be_fed_is_refused(given: Any, content: bool, named: dict[str, str], why: str) -> None:
    with pytest.raises(ValueError, match=why):
        inputs(*given, content=content, **named)


def test_without_decoding_there_are_no_pictures() -> None:
    with pytest.raises(ValueError, match="nothing here makes it"):
        Inputs(manifest(inputs=[PIXELS]), {}, content=True, decode=None)
