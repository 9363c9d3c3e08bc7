"""Files into pixels, with Pillow: by the one decoder the file's magic names, within what its head announced."""

from __future__ import annotations

import io
import math
from typing import Final

from PIL import AvifImagePlugin, GifImagePlugin, JpegImagePlugin, PngImagePlugin, WebPImagePlugin
from PIL.ImageFile import ImageFile

from edgeproxy.images.geometry import Box, Size
from edgeproxy.images.plan import ImageError
from edgeproxy.images.probe import Source

ORIENTATION: Final = 0x0112

# Each job has a process to itself, and its CPU time is what counts.
AvifImagePlugin.DEFAULT_MAX_THREADS = 1

_DECODERS: Final[dict[str, type[ImageFile]]] = {
    "jpeg": JpegImagePlugin.JpegImageFile,  # itself, not its factory, which also reads the index of many-picture files
    "png": PngImagePlugin.PngImageFile,
    "gif": GifImagePlugin.GifImageFile,
    "webp": WebPImagePlugin.WebPImageFile,
    "avif": AvifImagePlugin.AvifImageFile,
}


def open_picture(source: bytes, found: Source) -> ImageFile:
    """The file's first frame, not decoded yet. Raises ImageError, and what a decoder raises."""
    picture = _DECODERS[found.format](io.BytesIO(source))
    if picture.width > found.width or picture.height > found.height:
        raise ImageError("damaged")  # the decoder has found another head than was looked at
    # Otherwise libjpeg is fed 64 KiB at a time, with the interpreter between the pieces.
    picture.decodermaxblock = max(picture.decodermaxblock, len(source))
    return picture


def orientation(picture: ImageFile) -> int:
    """Its EXIF orientation, 1 to 8; 1 where EXIF is missing, says nothing or cannot be read.

    Raises what a decoder raises: a PNG's may stand behind its pixels, which are decoded on the way.
    """
    if isinstance(picture, PngImagePlugin.PngImageFile):
        picture.load()  # here, so that pixels that cannot be read are not taken for EXIF that cannot
    try:
        value = picture.getexif().get(ORIENTATION)
    except (ArithmeticError, LookupError, OSError, SyntaxError, TypeError, ValueError):
        return 1
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def draft(picture: ImageFile, kept: Box, size: Size, gap: float) -> tuple[float, float]:
    """Have a JPEG decoded at 1/2, 1/4 or 1/8 of its sides where ``kept`` of it becomes ``size``; others are left alone.

    ``gap``: how many times larger than ``size`` it is at least. Gives the factors from stored pixels to decoded ones.
    """
    across = math.ceil(picture.width * min(1.0, size[0] * gap / (kept[2] - kept[0])))
    down = math.ceil(picture.height * min(1.0, size[1] * gap / (kept[3] - kept[1])))
    before = picture.size
    drafted = picture.draft(None, (max(1, across), max(1, down)))
    if drafted is None:
        return 1.0, 1.0
    # By its own box, not its size: the last column may stand for a part of a pixel.
    return drafted[1][2] / before[0], drafted[1][3] / before[1]
