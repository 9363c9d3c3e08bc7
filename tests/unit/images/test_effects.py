"""Tones, colours, blur and sharpness; what lies underneath."""

from __future__ import annotations

import pytest
from PIL import Image, ImageFilter, ImageStat

from edgeproxy.images.effects import apply, underlay
from edgeproxy.images.geometry import Layout
from edgeproxy.images.plan import Plan
from tests.support import pictures

PHOTO = pictures.photo(96, 64)
MODES = ("L", "RGB", "RGBA")
CHANGES = [
    {"brightness": 1.4},
    {"contrast": 0.6},
    {"gamma": 2.0},
    {"saturation": 0.2},
    {"blur": 4.0},
    {"sharpen": 3.0},
]


def mean(picture: Image.Image) -> float:
    return ImageStat.Stat(picture.convert("L")).mean[0]


def spread(picture: Image.Image) -> float:
    return ImageStat.Stat(picture.convert("L")).stddev[0]


def edges(picture: Image.Image) -> float:
    return mean(picture.convert("L").filter(ImageFilter.FIND_EDGES))


def test_a_plan_without_effects_leaves_the_picture_alone() -> None:
    assert apply(PHOTO, Plan()) is PHOTO


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("change", CHANGES, ids=str)
def test_modes_and_transparency_stay(mode: str, change: dict[str, float]) -> None:
    picture = PHOTO.convert(mode)
    if mode == "RGBA":
        picture.putalpha(120)
    done = apply(picture, Plan(**change))  # type: ignore[arg-type]
    assert (done.mode, done.size) == (mode, picture.size)
    if mode == "RGBA":
        assert done.getchannel("A").getextrema() == (120, 120)


def test_each_effect_does_what_its_name_says() -> None:
    assert mean(apply(PHOTO, Plan(brightness=1.4))) > mean(PHOTO) + 10
    assert mean(apply(PHOTO, Plan(brightness=0.5))) == pytest.approx(mean(PHOTO) / 2, rel=0.05)
    assert spread(apply(PHOTO, Plan(contrast=0.5))) == pytest.approx(spread(PHOTO) / 2, rel=0.1)
    assert mean(apply(PHOTO, Plan(gamma=2.0))) > mean(PHOTO) + 10
    assert mean(apply(PHOTO, Plan(gamma=0.5))) < mean(PHOTO) - 10
    assert ImageStat.Stat(apply(PHOTO, Plan(saturation=0.0)).convert("HSV")).mean[1] < 2
    assert edges(apply(PHOTO, Plan(blur=3.0))) < edges(PHOTO) / 2
    assert edges(apply(PHOTO, Plan(sharpen=3.0))) > edges(PHOTO) * 1.2


def test_extremes_are_levels_still() -> None:
    for plan in (Plan(brightness=1000.0), Plan(contrast=1000.0), Plan(gamma=0.0), Plan(blur=250.0), Plan(sharpen=10.0)):
        apply(PHOTO, plan)


def test_the_colour_of_what_cannot_be_seen_does_not_bleed_into_a_blur() -> None:
    picture = Image.new("RGBA", (32, 32), (255, 0, 0, 0))
    picture.paste((0, 0, 255, 255), (8, 8, 24, 24))
    assert apply(picture, Plan(blur=4.0)).getpixel((9, 16))[0] < 5


def laid(canvas: tuple[int, int] = (8, 8)) -> Layout:
    return Layout((0, 0, 8, 8), (8, 8), canvas, ((canvas[0] - 8) // 2, (canvas[1] - 8) // 2))


@pytest.mark.parametrize(
    ("background", "opaque", "corner"),
    [
        (None, False, (255, 255, 255)),
        ((9, 8, 7, 255), False, (9, 8, 7)),
        ((9, 8, 7, 128), False, (9, 8, 7, 128)),
        ((0, 0, 0, 0), True, (255, 255, 255)),
        ((0, 0, 0, 127), True, (128, 128, 128)),
    ],
)
def test_padding(background: tuple[int, int, int, int] | None, opaque: bool, corner: tuple[int, ...]) -> None:
    padded = underlay(Image.new("RGB", (8, 8), (1, 1, 1)), laid((12, 8)), Plan(background=background), opaque=opaque)
    assert padded.size == (12, 8)
    assert padded.getpixel((0, 0)) == corner
    assert padded.getpixel((6, 4))[:3] == (1, 1, 1)


def test_a_background_is_seen_through_a_picture_where_one_is_wanted_or_needed() -> None:
    clear = Image.new("RGBA", (8, 8), (255, 0, 0, 0))
    assert underlay(clear, laid(), Plan(), opaque=False) is clear
    assert underlay(clear, laid(), Plan(), opaque=True).getpixel((0, 0)) == (255, 255, 255)
    assert underlay(clear, laid(), Plan(background=(1, 2, 3, 255)), opaque=False).getpixel((0, 0)) == (1, 2, 3)
    solid = Image.new("RGB", (8, 8))
    assert underlay(solid, laid(), Plan(background=(1, 2, 3, 255)), opaque=True) is solid
