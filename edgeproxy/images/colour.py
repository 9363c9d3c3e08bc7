"""Colours as every screen reads them: one of three modes, and sRGB whatever profile the file came with."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image, ImageCms

# What calls itself so is sRGB or means to be: converting it would cost time and rounding.
_SRGB_NAMES: Final = frozenset(
    {
        "sRGB",
        "sRGB IEC61966-2.1",
        "sRGB IEC61966-2-1 black scaled",
        "sRGB built-in",
        "GIMP built-in sRGB",
        "sRGB v4 ICC preference",
        "c2",
        "uRGB",
    }
)
PROFILE_BYTES: Final = 4_000_000  # the largest profiles of presses have two million
_SRGB: Final = ImageCms.createProfile("sRGB")
_TRANSPARENT: Final = frozenset({"RGBA", "LA", "La", "PA", "RGBa"})


def plain(picture: Image.Image) -> Image.Image:
    """The picture in one of the modes L, RGB, RGBA and CMYK, eight bits a channel, colours as they were."""
    if picture.mode in {"L", "RGB", "CMYK"} and "transparency" not in picture.info:
        return picture
    if picture.mode == "RGBA":
        return picture
    if picture.mode in _TRANSPARENT or picture.has_transparency_data:
        return picture.convert("RGBA")
    if picture.mode.startswith("I"):
        # Grey with 16 bits: its own conversion would clip instead of scale.
        return picture.convert("I").point(lambda value: value * (1 / 257)).convert("L")
    return picture.convert("L" if picture.mode in {"1", "F"} else "RGB")


def to_srgb(picture: Image.Image, profile: bytes | None) -> Image.Image:
    """L, RGB or RGBA in sRGB. A profile that is too large, broken or of another kind of colours is passed over."""
    if profile and len(profile) <= PROFILE_BYTES:
        picture = _converted(picture, profile)
    return picture.convert("RGB") if picture.mode == "CMYK" else picture


def _converted(picture: Image.Image, profile: bytes) -> Image.Image:
    into = picture.mode if picture.mode in {"L", "RGBA"} else "RGB"
    try:
        own = ImageCms.ImageCmsProfile(io.BytesIO(profile))
        if picture.mode != "CMYK" and (own.profile.profile_description or "").strip("\0 ") in _SRGB_NAMES:
            return picture
        change = ImageCms.buildTransform(
            own,
            _SRGB,
            picture.mode,
            "RGB" if into == "L" else into,
            ImageCms.Intent.RELATIVE_COLORIMETRIC,
            ImageCms.Flags.BLACKPOINTCOMPENSATION,
        )
        done = change.apply(picture)
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError):
        return picture
    return done.convert("L") if into == "L" else done


def opaque(picture: Image.Image) -> Image.Image:
    """The picture without a channel of transparency that nothing shows through."""
    if picture.mode == "RGBA" and picture.getchannel("A").getextrema() == (255, 255):
        return picture.convert("RGB")
    return picture
