"""One variant of one picture: looked at, decoded, framed, changed, encoded. It runs in a process of its own."""

from __future__ import annotations

from typing import Final

from PIL import Image
from PIL.ImageFile import ImageFile

from edgeproxy.images import colour, crop, effects, geometry, vips
from edgeproxy.images.animation import animate
from edgeproxy.images.decode import draft, open_picture, orientation
from edgeproxy.images.encode import encode
from edgeproxy.images.geometry import Box, Framing, Layout, Size
from edgeproxy.images.metadata import kept
from edgeproxy.images.plan import TYPES, Bounds, Craft, Format, ImageError, Picture, Plan
from edgeproxy.images.probe import Source, check, probe
from edgeproxy.images.summary import PLACEHOLDER_SIDE, summary

_TURNS: Final[dict[geometry.Turn, Image.Transpose]] = {
    geometry.Turn(False, 1): Image.Transpose.ROTATE_270,  # Pillow turns against the clock
    geometry.Turn(False, 2): Image.Transpose.ROTATE_180,
    geometry.Turn(False, 3): Image.Transpose.ROTATE_90,
    geometry.Turn(True, 0): Image.Transpose.FLIP_LEFT_RIGHT,
    geometry.Turn(True, 1): Image.Transpose.TRANSVERSE,
    geometry.Turn(True, 2): Image.Transpose.FLIP_TOP_BOTTOM,
    geometry.Turn(True, 3): Image.Transpose.TRANSPOSE,
}
# How much larger than needed a picture is decoded and reduced before it is resampled. At 1.0 the SSIM to a full
# resampling is 0.993 and costs least; at 2.0 it is 0.998 and costs a quarter more, little beside a slow encoder.
_QUICK_GAP: Final = 1.0
_FINE_GAP: Final = 2.0


def make(source: bytes, plan: Plan, bounds: Bounds, craft: Craft) -> Picture:
    """The variant of the file ``source`` that ``plan`` describes. Raises ImageError and nothing else.

    ``larger`` is raised where the file is of the same format, nothing but its size was to change, and it got no
    smaller; whether another format was worth it is for the caller to say.
    """
    if len(source) > bounds.source:
        raise ImageError("bytes")
    Image.MAX_IMAGE_PIXELS = bounds.pixels
    try:
        return _make(source, plan, bounds, craft)
    except ImageError:
        raise
    except MemoryError:
        raise ImageError("memory") from None
    except Image.DecompressionBombError:
        raise ImageError("pixels") from None
    except Exception:  # noqa: BLE001 -- a decoder raises whatever it likes: the file cannot be read
        raise ImageError("damaged") from None


def _make(source: bytes, plan: Plan, bounds: Bounds, craft: Craft) -> Picture:
    found = probe(source)
    form, moving = _form(found, plan)
    check(found, bounds, anim=moving)
    picture = open_picture(source, found)
    framed = geometry.framing(*picture.size, orientation(picture), plan)
    laid = geometry.layout(framed.seen, plan, (0.5, 0.5) if plan.gravity == "auto" else plan.gravity)
    geometry.check(laid, found.frames if moving else 1, bounds)
    said = kept(picture, plan.metadata)
    larger_is_no_use = form == found.format and _only_smaller(plan, picture)
    maker = _Maker(picture, plan, framed, laid, form, craft.engine)
    if form == "json":
        body = _told(maker, found, len(source))
    elif moving or form == "gif":
        body = animate(picture, maker.frame, form, plan, craft, said)
    else:
        # A palette is few colours; what is made of them stays few.
        colours = 256 if picture.mode == "P" else 0
        maker.draft(_QUICK_GAP if plan.hurry or form not in _HURRIED else _FINE_GAP)
        body = encode(maker.frame(picture), form, plan, craft, said, colours=colours)
    if larger_is_no_use and len(body) >= len(source):
        raise ImageError("larger")
    return Picture(body, TYPES[form], *laid.canvas, unhurried=plan.hurry and form in _HURRIED and not moving)


_HURRIED: Final = frozenset({"avif", "png"})  # the formats whose quick encoding differs from the best


def _form(found: Source, plan: Plan) -> tuple[Format, bool]:
    """The format that comes out, and whether it moves."""
    form = plan.format or found.format
    moves = plan.anim and found.frames > 1
    if form in {"webp", "avif"} and moves:
        return "webp", True  # which has the same with moving pictures as AVIF, at a tenth of the time
    if form == "gif":
        return ("gif", moves) if moves or plan.format else ("png", False)
    return form, moves and form == found.format == "png"


def _only_smaller(plan: Plan, picture: Image.Image) -> bool:
    """Whether the original would do as well, but for its size."""
    changes = plan._replace(
        width=0, height=0, gravity=(0.5, 0.5), format="", quality=0, ssim=0.0, hurry=False, metadata="copyright"
    )
    return changes == Plan() and (plan.metadata == "keep" or "exif" not in picture.info)


def _told(maker: _Maker, found: Source, length: int) -> bytes:
    """The facts, with a placeholder decoded no larger than it needs to be."""
    laid, shrink = maker.laid, min(1.0, 3 * PLACEHOLDER_SIDE / max(maker.laid.canvas))
    size, canvas = (
        (max(1, round(sides[0] * shrink)), max(1, round(sides[1] * shrink))) for sides in (laid.size, laid.canvas)
    )
    maker.laid = Layout(laid.box, size, canvas, (round(laid.offset[0] * shrink), round(laid.offset[1] * shrink)))
    maker.draft(_QUICK_GAP)
    upright = maker.framed.upright
    return summary(maker.frame(maker.picture), laid.canvas, found, upright, length)


class _Maker:
    """Frames of the variant out of frames of the picture, each in the same way."""

    def __init__(
        self, picture: ImageFile, plan: Plan, framed: Framing, laid: Layout, form: Format, engine: str
    ) -> None:
        self.picture, self.framed, self.laid = picture, framed, laid
        self._plan = plan
        self._opaque = form in {"jpeg", "pixels"}
        self._profile: bytes | None = picture.info.get("icc_profile")
        self._factors = (1.0, 1.0)
        self._vips = engine != "pillow"
        self._looked = plan.gravity != "auto" or laid.box == (0.0, 0.0, *framed.seen)

    def draft(self, gap: float) -> None:
        """Have the picture, not decoded yet, decoded no larger than ``gap`` times what is made of it."""
        size = self.framed.turn.size(*self.laid.size)
        self._factors = draft(self.picture, self.framed.stored(self.laid.box), size, gap)

    def frame(self, picture: Image.Image) -> Image.Image:
        """One finished frame: L, RGB or RGBA, as large as the canvas."""
        seen = colour.opaque(self._turned(colour.to_srgb(self._decoded(picture), self._profile)))
        return effects.underlay(effects.apply(seen, self._plan), self.laid, self._plan, opaque=self._opaque)

    def _decoded(self, picture: Image.Image) -> Image.Image:
        """What there is of one frame in the variant, scaled."""
        picture.load()
        stored = colour.plain(picture)
        if not self._looked:
            self._look(stored)
        return self._resized(stored, self.laid.box, self.laid.size)

    def _look(self, stored: Image.Image) -> None:
        """Move the box, by the first frame, to where there is most to see; it stays there."""
        seen = self.framed.seen
        shrink = min(1.0, crop.SIDE / max(seen))
        size = max(3, round(seen[0] * shrink)), max(3, round(seen[1] * shrink))
        small = self._turned(self._resized(stored, (0.0, 0.0, *seen), size))
        left, top, right, bottom = self.laid.box
        gravity = crop.gravity(small.convert("RGB"), (right - left) / seen[0], (bottom - top) / seen[1])
        self.laid = geometry.layout(seen, self._plan, gravity)
        self._looked = True

    def _resized(self, stored: Image.Image, box: Box, size: Size) -> Image.Image:
        x, y = self._factors
        left, top, right, bottom = self.framed.stored(box)
        within = left * x, top * y, min(right * x, stored.width), min(bottom * y, stored.height)
        wanted = self.framed.turn.size(*size)
        small = vips.resized(stored, within, wanted) if self._vips else None
        return small or stored.resize(wanted, Image.Resampling.LANCZOS, within, reducing_gap=_FINE_GAP)

    def _turned(self, stored: Image.Image) -> Image.Image:
        turn = _TURNS.get(self.framed.turn)
        return stored if turn is None else stored.transpose(turn)
