"""A picture in a few bytes: its facts, its average colour, and a placeholder to stand there while it loads."""

from __future__ import annotations

import base64
import json
from typing import Final

from PIL import Image

from edgeproxy.images.encode import save
from edgeproxy.images.geometry import Size
from edgeproxy.images.plan import TYPES
from edgeproxy.images.probe import Source

PLACEHOLDER_SIDE: Final = 20


def summary(picture: Image.Image, canvas: Size, source: Source, upright: Size, length: int) -> bytes:
    """JSON of what ``format=json`` tells: the variant's sides, the original's facts, placeholder and colour.

    ``picture``: the variant, as small as one likes; ``length``: the original's bytes.
    """
    shrink = PLACEHOLDER_SIDE / max(picture.size)
    size = max(1, round(picture.width * shrink)), max(1, round(picture.height * shrink))
    small = picture.resize(size, Image.Resampling.BOX).convert("RGBA" if picture.mode == "RGBA" else "RGB")
    placeholder = save(small, "webp", quality=40, method=6, alpha_quality=40)
    red, green, blue = _average(small)
    told = {
        "width": canvas[0],
        "height": canvas[1],
        "original": {
            "file_size": length,
            "width": upright[0],
            "height": upright[1],
            "format": TYPES[source.format].decode(),
            "frames": source.frames,
        },
        "colour": f"#{red:02x}{green:02x}{blue:02x}",
        "placeholder": "data:image/webp;base64," + base64.b64encode(placeholder).decode(),
    }
    return json.dumps(told, separators=(",", ":")).encode()


def _average(picture: Image.Image) -> tuple[int, int, int]:
    """Of what can be seen: transparent pixels count as little as they show."""
    one = picture.resize((1, 1), Image.Resampling.BOX).convert("RGB").getpixel((0, 0))
    return one if isinstance(one, tuple) else (0, 0, 0)  # type: ignore[return-value]
