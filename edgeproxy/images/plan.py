"""What is to be made of a picture: the plan of one variant, and the bounds it is made within. Values only."""

from __future__ import annotations

from typing import Final, Literal, NamedTuple

Fit = Literal["scale-down", "contain", "cover", "crop", "pad", "squeeze"]
Format = Literal["jpeg", "png", "webp", "avif", "gif", "json", "pixels"]
Metadata = Literal["none", "copyright", "keep"]
Colour = tuple[int, int, int, int]  # red, green, blue, alpha, 0 to 255 each

TYPES: Final[dict[str, bytes]] = {
    "jpeg": b"image/jpeg",
    "png": b"image/png",
    "webp": b"image/webp",
    "avif": b"image/avif",
    "gif": b"image/gif",
    "json": b"application/json",
    "pixels": b"application/octet-stream",
}


class Plan(NamedTuple):
    """One variant. ``width`` and ``height`` are device pixels (dpr is multiplied in), 0 for not given.

    ``fit`` as Cloudflare's names mean it. ``gravity``: auto, or a point as shares of width and height, (0.5, 0.5) for
    the middle. ``format`` is what comes out, "" for what came in; ``quality`` 1 to 100, 0 for the format's own default.
    ``blur`` is a radius 0 to 250, ``sharpen`` 0 to 10; ``brightness``, ``contrast``, ``gamma`` and ``saturation`` are
    factors. ``rotate`` is clockwise in degrees, 0, 90, 180 or 270; ``flip`` "", "h", "v" or "hv". ``trim`` takes off
    top, right, bottom and left in pixels of the source, before all else. ``anim``: False takes the first frame alone.
    ``hurry``: make the quickest good copy; a better one will be asked for later. ``ssim``: the structural similarity, 0
    to 1, that the quality is chosen to reach, at ``quality`` at most; 0 for none. ``baseline``: a JPEG that is shown
    from top to bottom instead of ever sharper. The format ``pixels`` is red, green and blue, a byte each, row by row.
    """

    width: int = 0
    height: int = 0
    fit: Fit = "scale-down"
    gravity: tuple[float, float] | Literal["auto"] = (0.5, 0.5)
    format: Format | Literal[""] = ""
    quality: int = 0
    background: Colour | None = None
    blur: float = 0.0
    sharpen: float = 0.0
    brightness: float = 1.0
    contrast: float = 1.0
    gamma: float = 1.0
    saturation: float = 1.0
    rotate: int = 0
    flip: Literal["", "h", "v", "hv"] = ""
    trim: tuple[int, int, int, int] = (0, 0, 0, 0)
    anim: bool = True
    metadata: Metadata = "copyright"
    hurry: bool = False
    ssim: float = 0.0
    baseline: bool = False


class Bounds(NamedTuple):
    """What a picture may cost. ``pixels`` counts all frames; ``memory`` is a process's, in bytes."""

    source: int = 20_000_000  # bytes of the file
    pixels: int = 50_000_000
    side: int = 12_000  # pixels of the source's and the result's longer side
    frames: int = 200
    memory: int = 1_000_000_000
    seconds: float = 10.0  # of the wall clock


class Craft(NamedTuple):
    """How pictures are made, whatever their plans. ``quality``: where a plan has none; ``avif_speed``: 0 to 10, without
    hurry. ``engine``: what makes it smaller; auto takes libvips where that is installed."""

    quality: int = 80
    avif_speed: int = 6
    engine: Literal["auto", "pillow", "vips"] = "auto"


class Picture(NamedTuple):
    """A finished variant. ``unhurried``: a copy made without hurry would be better, by a plan that is else the same."""

    body: bytes
    content_type: bytes
    width: int
    height: int
    unhurried: bool = False


class ImageError(Exception):
    """Why there is no variant: one word of :data:`REASONS`, fit for a field, a metric and a log."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


REASONS: Final[dict[str, str]] = {
    "format": "its format is not one of those that are read",
    "damaged": "it cannot be decoded",
    "bytes": "the file is larger than allowed",
    "pixels": "it has more pixels than allowed",
    "side": "a side is longer than allowed",
    "frames": "it has more frames than allowed",
    "time": "it took longer than allowed",
    "memory": "it took more memory than allowed",
    "queue": "too many others wait to be made",
    "larger": "what could be made of it is larger than it is",
    "no-transform": "its origin forbids changes",
    "failed": "the process that makes it ended",
}
