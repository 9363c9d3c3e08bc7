"""Where to look: which part of a picture holds what people look at, judged by edges, strong colours and skin."""

from __future__ import annotations

from itertools import accumulate
from typing import Final

from PIL import Image, ImageChops, ImageFilter

SIDE: Final = 64  # pixels of the longer side of what is judged
_CENTRE: Final = 0.08  # what a window in the middle is worth more than one at the edge, as a share

# Skin of all tones lies in a narrow range of chroma: Chai and Ngan, 1999.
_SKIN_BLUE: Final = [255 if 77 <= value <= 127 else 0 for value in range(256)]
_SKIN_RED: Final = [255 if 133 <= value <= 173 else 0 for value in range(256)]
_NOT_DARK: Final = [255 if 50 <= value <= 240 else 0 for value in range(256)]


def gravity(small: Image.Image, across: float, down: float) -> tuple[float, float]:
    """How to share out what is cut off so that a window of these shares of the sides (0 to 1) keeps the most.

    ``small`` is RGB, :data:`SIDE` pixels long at most.
    """
    weights = _saliency(small)
    columns = weights.resize((weights.width, 1), Image.Resampling.BOX)
    rows = weights.resize((1, weights.height), Image.Resampling.BOX)
    return _best(list(columns.tobytes()), across), _best(list(rows.tobytes()), down)


def _saliency(small: Image.Image) -> Image.Image:
    luma, blue, red = small.convert("YCbCr").split()
    # The filter leaves the outermost pixels as they are, which are no edges.
    edges = Image.new("L", small.size)
    edges.paste(luma.filter(ImageFilter.FIND_EDGES).crop((1, 1, small.width - 1, small.height - 1)), (1, 1))
    strong = small.convert("HSV").getchannel("S")
    skin = ImageChops.multiply(ImageChops.multiply(blue.point(_SKIN_BLUE), red.point(_SKIN_RED)), luma.point(_NOT_DARK))
    colours = ImageChops.add(
        strong.point([value // 5 for value in range(256)]), skin.point([v // 4 for v in range(256)])
    )
    return ImageChops.add(edges, ImageChops.multiply(colours, luma))


def _best(weights: list[int], share: float) -> float:
    """Where the window of this share of a line has the most weight: 0 for its beginning, 1 for its end."""
    length = len(weights)
    window = max(1, min(length, round(length * share)))
    free = length - window
    if not free:
        return 0.5
    sums = list(accumulate(weights, initial=0))
    worth = [
        (sums[at + window] - sums[at] + 1) * (1 + _CENTRE * (1 - abs(2 * at / free - 1))) for at in range(free + 1)
    ]
    return worth.index(max(worth)) / free
