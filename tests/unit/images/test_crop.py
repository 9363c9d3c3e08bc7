"""Where a window goes: to edges, strong colours and skin; to the middle where there is nothing to tell."""

from __future__ import annotations

import random

import pytest
from PIL import Image, ImageDraw

from edgeproxy.images.crop import gravity
from tests.support import pictures

GREY = (110, 110, 110)


def scene(subject: Image.Image, x: int) -> Image.Image:
    ground = Image.new("RGB", (64, 24), GREY)
    ground.paste(subject, (x, 4))
    return ground


@pytest.mark.parametrize(("x", "low", "high"), [(2, 0.0, 0.2), (44, 0.8, 1.0), (24, 0.35, 0.65)])
def test_the_window_goes_to_the_subject(x: int, low: float, high: float) -> None:
    across, down = gravity(scene(pictures.photo(16, 16), x), 24 / 64, 1.0)
    assert low <= across <= high
    assert down == 0.5


@pytest.mark.parametrize(
    "colour", [(200, 20, 30), (224, 172, 138), (141, 85, 36)], ids=["red", "light skin", "dark skin"]
)
def test_colours_that_draw_the_eye_count_without_any_edge(colour: tuple[int, int, int]) -> None:
    subject = Image.new("RGB", (16, 16), GREY)
    draw = ImageDraw.Draw(subject)
    for inset in range(8):  # fades in, so that it has no edge to speak of
        share = inset / 7
        shade = tuple(round(a + (b - a) * share) for a, b in zip(GREY, colour, strict=True))
        draw.rectangle((inset, inset, 15 - inset, 15 - inset), fill=shade)
    assert gravity(scene(subject, 46), 0.3, 1.0)[0] > 0.75


def test_an_even_picture_is_cut_in_the_middle() -> None:
    assert gravity(Image.new("RGB", (64, 32), GREY), 0.5, 1.0) == (0.5, 0.5)


@pytest.mark.parametrize("size", [(3, 3), (64, 3), (3, 64)])
@pytest.mark.parametrize("share", [0.001, 0.5, 1.0])
def test_any_size_gives_shares(size: tuple[int, int], share: float) -> None:
    rng = random.Random(1)
    small = Image.frombytes("RGB", size, rng.randbytes(size[0] * size[1] * 3))
    assert all(0 <= part <= 1 for part in gravity(small, share, share))
