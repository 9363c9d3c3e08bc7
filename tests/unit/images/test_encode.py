"""Files of pixels: one scale of quality, palettes, what is said along, a quality found by likeness."""

from __future__ import annotations

from typing import Any

import pytest
from PIL import Image

from edgeproxy.images.encode import encode, scaled
from edgeproxy.images.metadata import COPYRIGHT, Kept
from edgeproxy.images.plan import Craft, Plan
from edgeproxy.images.ssim import Likeness
from tests.support import pictures

PHOTO = pictures.photo(200, 150)
NOTHING = Kept()
SCALES = ("jpeg", "webp", "avif", "avif in a hurry")


def encoded(picture: Image.Image, form: str, kept: Kept = NOTHING, colours: int = 0, **wishes: Any) -> bytes:
    return encode(picture, form, Plan(**wishes), Craft(), kept, colours=colours)


@pytest.mark.parametrize("scale", SCALES)
def test_a_scale_rises_from_end_to_end(scale: str) -> None:
    values = [scaled(quality, scale) for quality in range(1, 101)]
    assert values == sorted(values)
    assert (values[0], values[-1]) == (1, 100)


def test_the_same_quality_looks_about_the_same_in_every_format() -> None:
    likeness = Likeness(PHOTO)
    seen = [
        likeness.to(pictures.decode(encoded(PHOTO, form, quality=80, hurry=hurry)))
        for form, hurry in (("jpeg", False), ("webp", False), ("avif", False), ("avif", True))
    ]
    assert max(seen) - min(seen) < 0.035


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "avif"])
@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA"])
def test_all_modes_go_into_all_formats(form: str, mode: str) -> None:
    picture = PHOTO.convert(mode)
    if mode == "RGBA":
        picture.putalpha(90)
    seen = pictures.decode(encoded(picture, form, hurry=True))
    assert seen.size == PHOTO.size
    if mode == "RGBA" and form != "jpeg":
        assert seen.mode == "RGBA"


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "avif"])
def test_what_is_to_be_said_is_said_and_nothing_else(form: str) -> None:
    picture = PHOTO.copy()
    picture.info |= {"icc_profile": pictures.display_p3(), "exif": pictures.exif(6, gps=True), "comment": b"hidden"}
    exif = Image.Exif()
    exif[COPYRIGHT] = "mine"
    body = encoded(picture, form, Kept(exif.tobytes(), b"<x/>" if form != "png" else b""), hurry=True)
    seen = pictures.decode(body)
    assert dict(seen.getexif()) == {COPYRIGHT: "mine"}
    assert "icc_profile" not in seen.info
    assert b"hidden" not in body


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_a_palette_has_as_many_colours_as_asked_for(mode: str) -> None:
    seen = pictures.decode(encoded(PHOTO.convert(mode), "png", colours=16))
    assert seen.mode == "P"
    assert len(seen.getcolors() or ()) <= 16


@pytest.mark.parametrize("form", ["jpeg", "webp", "avif"])
def test_a_quality_is_found_that_is_like_enough_and_no_more(form: str) -> None:
    likeness = Likeness(PHOTO)
    usual = encoded(PHOTO, form, hurry=True)
    for target in (0.80, 0.86):
        body = encoded(PHOTO, form, ssim=target, quality=95, hurry=True)
        assert target <= likeness.to(pictures.decode(body)) < target + 0.07
        assert len(body) < len(usual)


def test_quality_bounds_what_likeness_asks_for() -> None:
    assert len(encoded(PHOTO, "jpeg", ssim=0.9999, quality=50)) == len(encoded(PHOTO, "jpeg", quality=50))
