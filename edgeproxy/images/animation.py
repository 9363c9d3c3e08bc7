"""Pictures that move: every frame made like a still one, in its time, and again as often."""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Any, Final

from PIL import Image
from PIL.ImageFile import ImageFile

from edgeproxy.images.encode import scaled
from edgeproxy.images.metadata import Kept
from edgeproxy.images.plan import Craft, ImageError, Plan

_LONGEST: Final = 600_000  # milliseconds a frame may stand


def animate(
    picture: ImageFile, frame: Callable[[Image.Image], Image.Image], form: str, plan: Plan, craft: Craft, kept: Kept
) -> bytes:
    """The animation as WebP, GIF or PNG. ``frame`` makes a frame of the variant of one of the source."""
    frames, durations = [], []
    # What an animated PNG shows to those who do not know them need not be part of it.
    first = int(getattr(picture, "default_image", False))
    for number in range(first, getattr(picture, "n_frames", 1) if plan.anim else 1):
        picture.seek(number)
        picture.load()
        frames.append(frame(picture))
        durations.append(_duration(picture))
    loop = _loop(picture)
    options: dict[str, Any] = {"save_all": True, "append_images": frames[1:], "duration": durations}
    if form == "png":
        options |= {"loop": loop, "exif": kept.exif}
    elif form == "gif":
        options |= {"optimize": True, "disposal": 2 if frames[0].mode == "RGBA" else 1}
        if loop != 1:  # without it, it is played once
            options["loop"] = max(0, loop - 1)
    else:
        quality = scaled(plan.quality or craft.quality, "webp")
        options |= {"loop": loop, "quality": quality, "method": 2, "minimize_size": False, "exif": kept.exif}
        options |= {"background": (0, 0, 0, 0), "xmp": kept.xmp}
    target = io.BytesIO()
    for one in frames:
        one.info = {}
    frames[0].save(target, form.upper(), **options)
    return target.getvalue()


def _duration(picture: ImageFile) -> int:
    """Milliseconds, as the file has them: what is too short to be meant, browsers stretch in every format alike."""
    duration = picture.info.get("duration", 0)
    return min(_LONGEST, max(0, round(duration))) if isinstance(duration, (int, float)) else 0


def _loop(picture: ImageFile) -> int:
    """How often it is played, 0 for ever, as WebP counts. GIF counts repetitions, and none when it says nothing."""
    loop = picture.info.get("loop")
    if picture.format == "GIF":
        loop = 1 if loop is None else loop and loop + 1
    elif loop is None:
        loop = 0  # Pillow does not tell how often an AVIF is played
    if not isinstance(loop, int):
        raise ImageError("damaged")
    return min(65_535, max(0, loop))
