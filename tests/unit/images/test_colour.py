"""Modes and profiles: what comes out are L, RGB or RGBA in sRGB, whatever went in."""

from __future__ import annotations

import pytest
from PIL import Image, ImageCms, ImageStat

from edgeproxy.images.colour import opaque, plain, to_srgb
from tests.support import pictures

SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize(
    ("mode", "becomes"),
    [
        ("1", "L"),
        ("L", "L"),
        ("P", "RGB"),
        ("RGB", "RGB"),
        ("RGBA", "RGBA"),
        ("LA", "RGBA"),
        ("PA", "RGBA"),
        ("CMYK", "CMYK"),
        ("YCbCr", "RGB"),
        ("I", "L"),
        ("I;16", "L"),
        ("F", "L"),
    ],
)
def test_all_modes_become_four(mode: str, becomes: str) -> None:
    assert plain(Image.new(mode, (4, 4))).mode == becomes


@pytest.mark.parametrize(("mode", "clear"), [("L", 7), ("RGB", (1, 2, 3)), ("P", 0)])
def test_a_colour_that_means_transparent_becomes_transparency(mode: str, clear: object) -> None:
    picture = Image.new(mode, (4, 4), clear)  # type: ignore[arg-type]
    picture.info["transparency"] = clear
    assert plain(picture).getpixel((0, 0))[3] == 0


def test_grey_of_sixteen_bits_keeps_its_ends() -> None:
    for value, level in ((0, 0), (65_535, 255), (32_896, 128)):
        assert plain(Image.new("I;16", (1, 1), value)).getpixel((0, 0)) == level


def test_a_profile_is_applied() -> None:
    red = Image.new("RGB", (4, 4), (200, 20, 20))
    r, g, _ = ImageStat.Stat(to_srgb(red, pictures.swapped_profile())).mean
    assert g > 150 > 60 > r
    wide = to_srgb(Image.new("RGB", (4, 4), (200, 60, 60)), pictures.display_p3()).getpixel((0, 0))
    assert wide[0] > 205
    assert wide[1] < 55


def test_transparency_passes_a_profile_untouched() -> None:
    picture = Image.new("RGBA", (4, 4), (200, 20, 20, 77))
    assert to_srgb(picture, pictures.swapped_profile()).getpixel((0, 0))[3] == 77


def test_what_is_srgb_already_is_not_touched() -> None:
    picture = pictures.photo(16, 16)
    assert to_srgb(picture, SRGB) is picture
    assert to_srgb(picture, None) is picture


def test_a_grey_profile_is_applied_to_grey_alone() -> None:
    lab = ImageCms.ImageCmsProfile(ImageCms.createProfile("LAB")).tobytes()
    grey = Image.new("L", (4, 4), 100)
    assert to_srgb(grey, lab) is grey
    assert to_srgb(grey, pictures.swapped_profile()) is grey


@pytest.mark.parametrize("mode", ["L", "RGB", "RGBA", "CMYK"])
@pytest.mark.parametrize(
    "profile", [b"junk", bytes(4_000_001), pictures.display_p3()[:200], pictures.display_p3()[:-40], bytes(128)]
)
def test_profiles_that_make_no_sense_are_passed_over(mode: str, profile: bytes) -> None:
    picture = Image.new(mode, (4, 4), 100)
    assert to_srgb(picture, profile).tobytes() == to_srgb(picture, None).tobytes()


def test_inks_become_light() -> None:
    assert to_srgb(Image.new("CMYK", (4, 4), (0, 0, 0, 0)), None).getpixel((0, 0)) == (255, 255, 255)


def test_a_channel_nothing_shows_through_is_dropped() -> None:
    assert opaque(Image.new("RGBA", (4, 4), (1, 2, 3, 255))).mode == "RGB"
    assert opaque(Image.new("RGBA", (4, 4), (1, 2, 3, 254))).mode == "RGBA"
