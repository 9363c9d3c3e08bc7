"""One variant of one picture: every kind in and out, framed, turned, coloured and bounded as its plan says."""

from __future__ import annotations

import io
import json
import zlib
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from edgeproxy.images.engine import make
from edgeproxy.images.plan import TYPES, Bounds, Craft, ImageError, Picture, Plan
from tests.support import pictures

BOUNDS = Bounds()
KINDS = pictures.kinds()
PHOTO = pictures.encode(pictures.photo(320, 240), quality=92)
CORNERS = pictures.encode(pictures.corners(80, 60), "PNG")
SIGN = pictures.encode(pictures.graphic(120, 80), "PNG")


def made(source: bytes, bounds: Bounds = BOUNDS, **wishes: Any) -> Picture:
    return make(source, Plan(**wishes), bounds, Craft())


def shown(picture: Picture) -> Image.Image:
    seen = pictures.decode(picture.body)
    assert TYPES[str(seen.format).lower()] == picture.content_type
    assert seen.size == (picture.width, picture.height)
    return seen


def reason(source: bytes, **wishes: Any) -> str:
    """Why there is no variant of it as WebP, "" if there is one."""
    try:
        shown(made(source, format="webp", **wishes))
    except ImageError as error:
        return error.reason
    return ""


def difference(one: Image.Image, other: Image.Image) -> float:
    """The mean difference of two pictures' levels."""
    return max(ImageStat.Stat(ImageChops.difference(one.convert("RGB"), other.convert("RGB"))).mean)


@pytest.mark.parametrize("form", ["jpeg", "png", "webp", "avif", "gif"])
@pytest.mark.parametrize("name", KINDS)
def test_every_kind_becomes_every_format(name: str, form: Any) -> None:
    picture = made(KINDS[name], width=60, height=60, fit="cover", format=form, hurry=True)
    seen = shown(picture)
    assert seen.size == (60, 60)
    if form != "avif":
        assert picture.content_type == TYPES[form]
    moves = name.startswith("animated") and (form in {"webp", "gif", "avif"} or name == f"animated.{form}")
    assert getattr(seen, "n_frames", 1) == (5 if moves else 1)


@pytest.mark.parametrize(
    ("name", "comes"),
    [
        ("baseline.jpg", "jpeg"),
        ("palette.png", "png"),
        ("still.avif", "avif"),
        ("lossy.webp", "webp"),
        ("still.gif", "png"),
    ],
)
def test_without_a_format_it_stays_what_it_was_but_for_a_gif_that_stands_still(name: str, comes: str) -> None:
    assert made(KINDS[name], width=60).content_type == TYPES[comes]


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
def test_pictures_stand_upright_however_the_camera_was_held(orientation: int, form: str) -> None:
    upright = pictures.corners(80, 60)
    source = pictures.oriented(upright, orientation, form)
    seen = shown(made(source, width=40, height=30, fit="cover", format="png", metadata="keep"))
    assert seen.size == (40, 30)
    assert difference(seen, upright.resize((40, 30))) < 6
    assert seen.getexif().get(pictures.ORIENTATION, 1) == 1


@pytest.mark.parametrize(
    ("wishes", "top_left", "size"),
    [
        ({"rotate": 90}, "bottom left", (60, 80)),
        ({"rotate": 180}, "bottom right", (80, 60)),
        ({"rotate": 270}, "top right", (60, 80)),
        ({"flip": "h"}, "top right", (80, 60)),
        ({"flip": "v"}, "bottom left", (80, 60)),
        ({"flip": "hv"}, "bottom right", (80, 60)),
        ({"flip": "h", "rotate": 90}, "bottom right", (60, 80)),
        ({"trim": (30, 0, 0, 40)}, "bottom right", (40, 30)),
        ({"trim": (30, 0, 0, 0), "rotate": 90}, "bottom left", (30, 80)),
        ({"width": 20, "height": 20, "fit": "cover", "gravity": (1.0, 0.0)}, "top left", (20, 20)),
        ({"width": 20, "height": 60, "fit": "crop", "gravity": (1.0, 1.0)}, "top right", (20, 60)),
    ],
)
def test_turning_mirroring_trimming_and_cropping(wishes: dict[str, Any], top_left: str, size: tuple[int, int]) -> None:
    seen = shown(made(CORNERS, **wishes))
    assert seen.size == size
    assert pictures.corner_of(seen, 0.1, 0.1) == top_left


def test_a_part_of_a_large_jpeg_is_the_same_part_that_a_full_decoding_shows() -> None:
    """It is decoded at a fraction of its size, in whole blocks."""
    upright = pictures.photo(1003, 751)
    source = pictures.encode(upright, quality=95, subsampling=0)
    seen = shown(made(source, width=100, height=100, fit="cover", gravity=(1.0, 0.0), trim=(3, 5, 7, 11), format="png"))
    box = (11 + 987 - 741, 3, 11 + 987, 744)
    assert difference(seen, upright.resize((100, 100), Image.Resampling.LANCZOS, box)) < 3.5


def test_gravity_auto_keeps_what_there_is_to_see() -> None:
    ground = Image.new("RGB", (400, 100), (90, 90, 90))
    ground.paste(pictures.photo(90, 90), (300, 5))
    seen = shown(made(pictures.encode(ground, "PNG"), width=100, height=100, fit="cover", gravity="auto"))
    grey = sum(count for count, colour in seen.getcolors(10_000) or () if colour == (90, 90, 90))
    assert grey < 2_900  # of 10,000; 1,900 lie around what there is


@pytest.mark.parametrize("form", ["jpeg", "webp", "avif", "png"])
def test_wide_colours_become_those_that_screens_without_profiles_show(form: Any) -> None:
    """Red and green are exchanged by the profile; whoever drops it unread shows green for red."""
    red = pictures.encode(Image.new("RGB", (64, 64), (200, 20, 20)), "PNG", icc_profile=pictures.swapped_profile())
    seen = shown(made(red, format=form))
    r, g, _ = ImageStat.Stat(seen.convert("RGB")).mean
    assert g > 150 > 60 > r
    assert "icc_profile" not in seen.info


@pytest.mark.parametrize("profile", [b"", b"junk", bytes(5_000_000), pictures.display_p3()[:300]])
def test_broken_profiles_are_passed_over(profile: bytes) -> None:
    source = pictures.encode(pictures.photo(64, 48), icc_profile=profile)
    plain = pictures.encode(pictures.photo(64, 48))
    assert made(source, width=32).body == made(plain, width=32).body


def test_what_is_transparent_lies_over_the_background_in_a_jpeg() -> None:
    clear = pictures.encode(Image.new("RGBA", (32, 32), (255, 0, 0, 0)), "PNG")
    for background, colour in (
        (None, (255, 255, 255)),
        ((0, 0, 255, 255), (0, 0, 255)),
        ((0, 0, 0, 0), (255, 255, 255)),
    ):
        seen = shown(made(clear, format="jpeg", background=background)).getpixel((16, 16))
        assert seen == pytest.approx(colour, abs=3)


def test_transparency_stays_where_the_format_has_it() -> None:
    for form in ("webp", "avif", "png"):
        seen = shown(made(SIGN, width=60, height=40, fit="cover", format=form))
        assert seen.mode == "RGBA"
        assert seen.getpixel((0, 0))[3] == 0
        assert seen.getpixel((30, 20))[3] == 255


def test_padding_has_the_background_and_transparent_padding_is_transparent() -> None:
    wishes = {"width": 60, "height": 60, "fit": "pad", "format": "png"}
    assert shown(made(PHOTO, **wishes)).getpixel((30, 2)) == (255, 255, 255)
    assert shown(made(PHOTO, **wishes, background=(0, 128, 0, 255))).getpixel((30, 2)) == (0, 128, 0)
    assert shown(made(PHOTO, **wishes, background=(0, 128, 0, 0))).getpixel((30, 2))[3] == 0


def test_what_looks_transparent_and_is_not_loses_its_channel() -> None:
    solid = pictures.encode(pictures.photo(64, 48).convert("RGBA"), "PNG")
    assert shown(made(solid, width=32)).mode == "RGB"


def test_a_palette_stays_one() -> None:
    assert shown(made(KINDS["palette.png"], width=60)).mode == "P"
    assert shown(made(KINDS["palette-clear.png"], width=60)).mode == "P"


def test_sixteen_bits_of_grey_are_scaled_to_eight() -> None:
    ramp = Image.new("I;16", (64, 64), 32_768)
    assert shown(made(pictures.encode(ramp, "PNG"), format="webp")).getpixel((9, 9)) == pytest.approx((128,) * 3, abs=2)


def test_a_baseline_jpeg_is_one_and_others_are_progressive() -> None:
    assert "progressive" in shown(made(PHOTO, width=160)).info
    assert "progressive" not in shown(made(PHOTO, width=160, baseline=True)).info


def test_a_higher_quality_takes_more_bytes() -> None:
    for form in ("jpeg", "webp", "avif"):
        sizes = [len(made(PHOTO, width=160, format=form, quality=quality, hurry=True).body) for quality in (30, 60, 90)]
        assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("form", ["avif", "png"])
def test_without_hurry_it_is_smaller(form: Any) -> None:
    hurried, better = (made(PHOTO, width=200, format=form, hurry=hurry) for hurry in (True, False))
    assert (hurried.unhurried, better.unhurried) == (True, False)
    assert len(better.body) < len(hurried.body)


@pytest.mark.parametrize("form", ["jpeg", "webp", "gif", "json"])
def test_nothing_better_is_promised_where_there_is_nothing(form: Any) -> None:
    assert not made(PHOTO, width=60, format=form, hurry=True).unhurried


def test_what_would_be_larger_is_not_made_unless_something_else_was_asked_for() -> None:
    tiny = pictures.encode(pictures.photo(64, 48), quality=10)
    with pytest.raises(ImageError, match="larger"):
        made(tiny, format="jpeg", quality=95)
    made(tiny, format="jpeg", quality=95, rotate=90)
    made(tiny, format="png")


def test_an_original_that_tells_more_than_it_may_is_not_kept_for_being_smaller() -> None:
    tells = pictures.encode(pictures.photo(64, 48), quality=10, exif=pictures.exif(gps=True))
    assert b"camera" not in made(tells, quality=95).body


def test_json_tells_the_facts_and_has_a_small_placeholder() -> None:
    source = pictures.oriented(pictures.photo(240, 320), 6)
    told = json.loads(made(source, width=120, format="json").body)
    assert (told["width"], told["height"]) == (120, 160)
    assert told["original"] == {
        "file_size": len(source),
        "width": 240,
        "height": 320,
        "format": "image/jpeg",
        "frames": 1,
    }
    assert len(told["placeholder"]) < 400


@pytest.mark.parametrize(
    ("bounds", "reason"),
    [
        (Bounds(source=100), "bytes"),
        (Bounds(side=300), "side"),
        (Bounds(pixels=70_000), "pixels"),
    ],
)
def test_bounds_are_kept(bounds: Bounds, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        made(PHOTO, bounds, width=10)


def test_too_many_frames_are_refused_unless_one_is_enough() -> None:
    with pytest.raises(ImageError, match="frames"):
        made(KINDS["animated.gif"], Bounds(frames=4), format="webp")
    assert made(KINDS["animated.gif"], Bounds(frames=4), format="webp", anim=False).content_type == b"image/webp"


def test_a_result_beyond_the_bounds_is_refused() -> None:
    with pytest.raises(ImageError, match="side"):
        made(PHOTO, Bounds(side=500), width=501, fit="contain")


def test_a_decoder_is_never_asked_about_what_the_magic_does_not_name() -> None:
    for form in ("TIFF", "BMP", "ICO", "PPM", "TGA", "PCX", "SGI", "EPS", "DDS", "ICNS"):
        target = io.BytesIO()
        pictures.photo(64, 64).save(target, form)
        with pytest.raises(ImageError, match="format"):
            made(target.getvalue(), width=10)


@pytest.mark.parametrize("name", KINDS)
def test_a_file_that_breaks_off_is_damaged_or_still_a_picture(name: str) -> None:
    source = KINDS[name]
    for tenth in range(10):
        assert reason(source[: len(source) * tenth // 10], width=20) in {"", "format", "damaged"}


def test_a_second_head_that_claims_more_is_not_believed() -> None:
    """The head that is looked at is the first one; a decoder that takes the last one must not get far."""
    source = bytearray(PHOTO)
    at = source.index(b"\xff\xc2" if b"\xff\xc2" in source else b"\xff\xc0")
    length = int.from_bytes(source[at + 2 : at + 4], "big") + 2
    second = bytearray(source[at : at + length])
    second[5:9] = (9000).to_bytes(2, "big") * 2
    with pytest.raises(ImageError, match="damaged"):
        made(bytes(source[: at + length] + second + source[at + length :]), width=20)


def test_texts_that_unpack_to_gigabytes_are_cut_short() -> None:
    packed = zlib.compress(bytes(50_000_000), 9)
    more = [pictures.png_chunk(b"zTXt", b"Comment\0\0" + packed), pictures.png_chunk(b"iCCP", b"p\0\0" + packed)]
    pixels = zlib.compress((b"\0" + bytes(30)) * 10)
    for chunk in more:
        assert reason(pictures.png(10, 10, pixels, more=[chunk])) in {"", "damaged"}
