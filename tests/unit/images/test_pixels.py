"""Pictures as pixels: what the engine makes of them, and what is said of those that it cannot read."""

from __future__ import annotations

from typing import Literal

import pytest
from PIL import Image

from edgeproxy.images.engine import make
from edgeproxy.images.pixels import Pixels
from edgeproxy.images.plan import Bounds, Craft, ImageError, Picture, Plan
from edgeproxy.images.studio import Studio
from edgeproxy.observe.metrics import Metrics
from tests.support import pictures

RED, BLUE, WHITE = (255, 0, 0), (0, 0, 255), (255, 255, 255)


class Here(Studio):
    """Makes pictures in this process, or fails for a reason."""

    def __init__(self, reason: str = "", body: bytes | None = None) -> None:
        super().__init__(1, 1, Bounds(pixels=10_000), Metrics())
        self.reason = reason
        self.body = body

    async def make(self, source: bytes, plan: Plan, *, background: bool = False) -> Picture:
        if self.reason:
            raise ImageError(self.reason)
        picture = make(source, plan, self.bounds, Craft())
        return picture if self.body is None else picture._replace(body=self.body)


def halves(first: tuple[int, ...], second: tuple[int, ...], mode: str = "RGB") -> Image.Image:
    picture = Image.new(mode, (4, 2), first)
    picture.paste(second, (2, 0, 4, 2))
    return picture


async def seen(
    source: bytes, width: int, height: int, fit: Literal["stretch", "cover", "pad"] = "stretch"
) -> list[tuple[int, ...]]:
    body = await Pixels(Here()).rgb(source, width, height, fit)
    return [tuple(body[at : at + 3]) for at in range(0, len(body), 3)]


async def test_pixels_come_row_by_row() -> None:
    assert await seen(pictures.encode(halves(RED, BLUE), "PNG"), 4, 2) == [RED, RED, BLUE, BLUE] * 2


async def test_a_picture_is_made_to_fit_exactly() -> None:
    source = pictures.encode(halves(RED, BLUE), "PNG")
    assert len(await seen(source, 3, 5, "cover")) == 15
    padded = await seen(source, 4, 4, "pad")
    assert padded == [WHITE] * 4 + [RED, RED, BLUE, BLUE] * 2 + [WHITE] * 4


async def test_it_stands_upright_as_the_camera_was_held() -> None:
    source = pictures.oriented(halves(RED, BLUE), 6, "PNG")
    assert await seen(source, 4, 2) == [RED, RED, BLUE, BLUE] * 2


async def test_what_lets_light_through_lies_on_white() -> None:
    source = pictures.encode(halves((255, 0, 0, 255), (0, 0, 255, 0), "RGBA"), "PNG")
    assert await seen(source, 4, 2) == [RED, RED, WHITE, WHITE] * 2


async def test_grey_pictures_and_palettes_have_three_channels_too() -> None:
    assert await seen(pictures.encode(Image.new("L", (2, 1), 7), "PNG"), 2, 1) == [(7, 7, 7)] * 2
    assert await seen(pictures.encode(halves(RED, BLUE).quantize(2), "GIF"), 4, 2) == [RED, RED, BLUE, BLUE] * 2


async def test_of_a_moving_picture_the_first_frame_is_seen() -> None:
    source = pictures.encode([Image.new("RGB", (2, 1), RED), Image.new("RGB", (2, 1), BLUE)], "GIF")
    assert await seen(source, 2, 1) == [RED, RED]


@pytest.mark.parametrize(
    ("source", "why"),
    [
        (b"noise", "not one of those that are read"),
        (b"", "not one of those that are read"),
        (pictures.encode(pictures.photo(40, 30), "PNG")[:500], "cannot be decoded"),
        (pictures.encode(Image.new("RGB", (200, 200)), "PNG"), "more pixels than allowed"),
    ],
    ids=["noise", "nothing", "cut short", "large"],
)
async def test_what_cannot_be_read_is_the_pictures_fault(source: bytes, why: str) -> None:
    with pytest.raises(ValueError, match=f"the picture is not taken: .*{why}"):
        await seen(source, 2, 2)


@pytest.mark.parametrize("reason", ["queue", "failed"])
async def test_what_nobody_has_time_for_is_not(reason: str) -> None:
    with pytest.raises(TimeoutError):
        await Pixels(Here(reason)).rgb(b"", 2, 2, "pad")


async def test_a_decoder_that_was_taken_over_is_not_believed() -> None:
    source = pictures.encode(Image.new("RGB", (4, 4)), "PNG")
    with pytest.raises(ValueError, match="cannot be decoded"):
        await Pixels(Here(body=b"abc")).rgb(source, 2, 2, "pad")
