"""Pixels as inputs: grey, inverted, normalised, laid out."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from edgeproxy.inference.manifest import InputSpec, Pixels
from edgeproxy.inference.pixels import decoder, tensor

# Two pixels beside each other: red, and a light grey.
ROW = bytes((255, 0, 0, 200, 200, 200))


def pixels(**more: Any) -> Pixels:
    return Pixels.model_validate({"width": 2, "height": 1, **more})


def test_channels_come_first_or_last() -> None:
    first = tensor(ROW, "UINT8", pixels())
    assert first.shape == (1, 3, 1, 2)
    assert first.flags.c_contiguous
    assert first.tolist() == [[[[255, 200]], [[0, 200]], [[0, 200]]]]
    assert tensor(ROW, "UINT8", pixels(layout="NHWC")).tolist() == [[[[255, 0, 0], [200, 200, 200]]]]


def test_grey_is_as_light_as_the_colours_are() -> None:
    assert tensor(ROW, "UINT8", pixels(channels="grey")).tolist() == [[[[76, 200]]]]


def test_ink_is_high_where_it_is_inverted() -> None:
    assert tensor(ROW, "UINT8", pixels(channels="grey", invert=True)).tolist() == [[[[179, 55]]]]


@pytest.mark.parametrize("kind", ["FP16", "FP32", "FP64"])
def test_numbers_are_normalised_by_channel(kind: str) -> None:
    made = tensor(ROW, kind, pixels(mean=[0.5, 0.25, 0.0], deviation=[0.5, 0.25, 2.0]))
    wanted = [[[1, 200 / 255 * 2 - 1]], [[-1, 200 / 255 * 4 - 1]], [[0, 100 / 255]]]
    np.testing.assert_allclose(made[0].astype(float), wanted, atol=2e-3)
    assert made.dtype == {"FP16": np.float16, "FP32": np.float32, "FP64": np.float64}[kind]
    assert tensor(ROW, kind, pixels()).max() == 1.0


def spec(**more: Any) -> InputSpec:
    given = {"name": "x", "kind": "UINT8", "shape": more.pop("shape", [-1, 3, 1, 2])}
    return InputSpec.model_validate(given | ({"pixels": {"width": 2, "height": 1, **more}} if more else {}))


async def test_a_picture_is_asked_for_as_the_manifest_wants_it() -> None:
    asked = []

    async def rgb(picture: bytes, width: int, height: int, fit: str) -> bytes:
        asked.append((picture, width, height, fit))
        return ROW

    assert (await decoder(rgb)(b"file", spec(fit="pad"))).shape == (1, 3, 1, 2)
    assert (await decoder(rgb)(b"file", spec(shape=[-1, 6], fit="pad"))).tolist() == [[255, 200, 0, 200, 0, 200]]
    assert asked[1:] == asked[:1]
    assert asked[:1] == [(b"file", 2, 1, "pad")]


async def test_an_input_that_takes_none_gets_none() -> None:
    async def rgb(*_: object) -> bytes:
        return ROW

    with pytest.raises(ValueError, match="'x' takes no picture"):
        await decoder(rgb)(b"file", spec())
