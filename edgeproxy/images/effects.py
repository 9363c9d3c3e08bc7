"""What a plan changes in the pixels of a finished size: tones, colours, blur, sharpness, what lies underneath."""

from __future__ import annotations

from PIL import Image, ImageEnhance, ImageFilter

from edgeproxy.images.geometry import Layout
from edgeproxy.images.plan import Colour, Plan

_WHITE: Colour = (255, 255, 255, 255)


def apply(picture: Image.Image, plan: Plan) -> Image.Image:
    """L, RGB or RGBA in, the same mode out; transparency stays."""
    if (plan.brightness, plan.contrast, plan.gamma) != (1.0, 1.0, 1.0):
        tones = _tones(plan)
        bands = len(picture.getbands())
        picture = picture.point(tones * 3 + list(range(256)) if bands == 4 else tones * bands)
    if plan.saturation != 1.0 and picture.mode != "L":
        picture = ImageEnhance.Color(picture).enhance(plan.saturation)
    if plan.blur:
        # Weighted by transparency, or the colour of what cannot be seen would bleed out.
        weighted = picture.convert("RGBa") if picture.mode == "RGBA" else picture
        picture = weighted.filter(ImageFilter.GaussianBlur(plan.blur)).convert(picture.mode)
    if plan.sharpen:
        picture = picture.filter(ImageFilter.UnsharpMask(radius=1.0, percent=round(plan.sharpen * 60), threshold=2))
    return picture


def _tones(plan: Plan) -> list[int]:
    """What becomes of each of 256 levels: brightness, contrast about the middle grey, then gamma."""
    levels = []
    for value in range(256):
        level = (value / 255 * plan.brightness - 0.5) * plan.contrast + 0.5
        level = min(1.0, max(0.0, level)) ** (1 / plan.gamma if plan.gamma > 0 else 1)
        levels.append(round(level * 255))
    return levels


def underlay(picture: Image.Image, laid: Layout, plan: Plan, *, opaque: bool) -> Image.Image:
    """The picture on its canvas, over the plan's background. ``opaque``: what comes out cannot be transparent."""
    padded = laid.canvas != laid.size
    see_through = picture.mode == "RGBA"
    if not padded and not (see_through and (opaque or plan.background is not None)):
        return picture
    colour = plan.background or _WHITE
    if opaque:  # what the background itself lets through is white
        share = colour[3] / 255
        red, green, blue = (round(part * share + 255 * (1 - share)) for part in colour[:3])
        colour = (red, green, blue, 255)
    if colour[3] == 255:
        canvas = Image.new("RGB", laid.canvas, colour[:3])
        canvas.paste(picture, laid.offset, picture if see_through else None)
        return canvas
    canvas = Image.new("RGBA", laid.canvas, colour)
    canvas.alpha_composite(picture.convert("RGBA"), laid.offset)
    return canvas
