"""Pixels into files, with Pillow: one scale of quality for all formats, and what each format is best written with."""

from __future__ import annotations

import io
from itertools import pairwise
from typing import Any, Final

from PIL import Image

from edgeproxy.images.metadata import Kept
from edgeproxy.images.plan import Craft, Plan
from edgeproxy.images.ssim import Likeness

# What 1 to 100 on JPEG's own scale is with the other encoders, by equal SSIM: medians of eight photographs and drawings
# at 480 to 800 pixels, which lie within 8 of them (WebP: 12). Between rows it goes straight.
_SCALES: Final[dict[str, tuple[tuple[int, int], ...]]] = {
    "jpeg": ((1, 1), (100, 100)),
    "webp": ((1, 1), (30, 25), (50, 40), (65, 54), (80, 76), (90, 87), (95, 94), (100, 100)),
    "avif": ((1, 1), (30, 36), (50, 45), (65, 50), (80, 61), (90, 73), (95, 87), (100, 100)),
    "avif in a hurry": ((1, 1), (30, 40), (50, 48), (65, 55), (80, 67), (90, 78), (95, 89), (100, 100)),
}
HURRIED_SPEED: Final = 9
_MODES: Final = {
    "jpeg": ("L", "RGB"),
    "png": ("L", "RGB", "RGBA"),
    "webp": ("RGB", "RGBA"),
    "avif": ("L", "RGB", "RGBA"),
    "pixels": ("RGB",),
}
_ATTEMPTS: Final = 4  # encodings at most to find a quality by likeness
_LOWEST, _HIGHEST = 30, 95  # where it is looked for
_COLOURS: Final = 256


def encode(picture: Image.Image, form: str, plan: Plan, craft: Craft, kept: Kept, *, colours: int = 0) -> bytes:
    """The file. ``form``: jpeg, png, webp, avif, pixels; ``colours``: those of the palette a PNG has, 0 for none."""
    if picture.mode not in _MODES[form]:
        picture = picture.convert("RGBA" if picture.mode == "RGBA" and form != "jpeg" else "RGB")
    if form == "pixels":
        return picture.tobytes()
    if form == "png":
        return _png(picture, plan, kept, colours)
    quality = plan.quality or craft.quality
    if not plan.ssim:
        return _lossy(picture, form, quality, plan, craft, kept)
    return _alike(picture, form, quality, plan, craft, kept)


def scaled(quality: int, scale: str) -> int:
    """A quality, 1 to 100 as JPEG's, on another encoder's scale."""
    rows = _SCALES[scale]
    for (low, first), (high, last) in pairwise(rows):
        if quality <= high:
            return round(first + (last - first) * (quality - low) / (high - low))
    return 100


def _lossy(picture: Image.Image, form: str, quality: int, plan: Plan, craft: Craft, kept: Kept) -> bytes:
    options: dict[str, Any] = {"exif": kept.exif, "xmp": kept.xmp}
    if form == "jpeg":
        options |= {"quality": quality, "optimize": True, "progressive": not plan.baseline}
    elif form == "webp":
        options |= {"quality": scaled(quality, form), "method": 4}
    else:
        scale, speed = ("avif in a hurry", HURRIED_SPEED) if plan.hurry else (form, craft.avif_speed)
        options |= {"quality": scaled(quality, scale), "speed": speed, "max_threads": 1, "icc_profile": b""}
    return save(picture, form, **options)


def _alike(picture: Image.Image, form: str, most: int, plan: Plan, craft: Craft, kept: Kept) -> bytes:
    """The smallest found that is as like the picture as the plan wants; at ``most``'s quality if none is."""
    likeness = Likeness(picture)
    low, high = _LOWEST, min(_HIGHEST, most)
    best = b""
    for attempt in range(_ATTEMPTS):
        quality = high if high - low < 3 else (low + high) // 2
        body = _lossy(picture, form, quality, plan, craft, kept)
        decoded = Image.open(io.BytesIO(body), formats=(form.upper(),))
        if likeness.to(decoded) >= plan.ssim:
            best, high = body, quality - 1
        else:
            low = quality + 1
        if low > high or attempt == _ATTEMPTS - 1:
            break
    return best or _lossy(picture, form, most, plan, craft, kept)


def _png(picture: Image.Image, plan: Plan, kept: Kept, colours: int) -> bytes:
    if colours:
        # The octree is the one method that knows transparency; the other one is nearer to what was there.
        see_through = picture.mode == "RGBA"
        method = Image.Quantize.FASTOCTREE if see_through else Image.Quantize.MEDIANCUT
        picture = picture.quantize(min(_COLOURS, colours), method, dither=Image.Dither.NONE)
    return save(picture, "png", exif=kept.exif, optimize=not plan.hurry, icc_profile=b"")


def save(picture: Image.Image, form: str, **options: Any) -> bytes:
    """Pillow's encoder for the format, with its own options."""
    target = io.BytesIO()
    if not options.get("exif"):
        options.pop("exif", None)
    picture.info = {}  # what Pillow would take over by itself
    picture.save(target, form.upper(), **options)
    return target.getvalue()
