"""What part of a picture is taken, how it is turned, and how large it becomes. Numbers in, numbers out.

Three spaces: *stored*, as the file has its pixels; *upright*, turned by its EXIF orientation; *seen*, turned and
mirrored by the plan too. Boxes are left, top, right, bottom; they may lie between pixels.
"""

from __future__ import annotations

from typing import Final, NamedTuple

from edgeproxy.images.plan import Bounds, ImageError, Plan

Box = tuple[float, float, float, float]
Size = tuple[int, int]


class Turn(NamedTuple):
    """One of the eight ways a rectangle lies: mirrored left to right or not, then turned clockwise by quarters."""

    mirrored: bool = False
    quarters: int = 0

    def then(self, other: Turn) -> Turn:
        """Both, one after the other. A mirror behind a turn is that turn backwards behind the mirror."""
        before = -self.quarters if other.mirrored else self.quarters
        return Turn(self.mirrored != other.mirrored, (before + other.quarters) % 4)

    def size(self, width: int, height: int) -> Size:
        """The sides of a picture of these sides, turned."""
        return (height, width) if self.quarters % 2 else (width, height)

    def undone(self, box: Box, seen: Size) -> Box:
        """Where a box of the turned picture, whose size is ``seen``, lay before."""
        left, top, right, bottom = box
        width, height = seen
        for _ in range(self.quarters):
            left, top, right, bottom = top, width - right, bottom, width - left
            width, height = height, width
        return (width - right, top, width - left, bottom) if self.mirrored else (left, top, right, bottom)


# EXIF 2.32 §4.6.4, Orientation: how stored pixels are turned to stand upright. Any other value says nothing.
ORIENTATIONS: Final[dict[int, Turn]] = {
    1: Turn(),
    2: Turn(mirrored=True),
    3: Turn(quarters=2),
    4: Turn(mirrored=True, quarters=2),
    5: Turn(mirrored=True, quarters=3),
    6: Turn(quarters=1),
    7: Turn(mirrored=True, quarters=1),
    8: Turn(quarters=3),
}
_FLIPS: Final = {"": Turn(), "h": Turn(mirrored=True), "v": Turn(mirrored=True, quarters=2), "hv": Turn(quarters=2)}


class Layout(NamedTuple):
    """How a variant is put together: ``box`` of what is seen, scaled to ``size``, at ``offset`` of the ``canvas``."""

    box: Box
    size: Size
    canvas: Size
    offset: tuple[int, int] = (0, 0)


class Framing(NamedTuple):
    """What is left to look at after trimming: ``kept`` in stored pixels, turned by ``turn`` into ``seen``."""

    kept: Box
    turn: Turn
    seen: Size
    upright: Size  # of the whole picture

    def stored(self, box: Box) -> Box:
        """Where a box of what is seen lies in the stored picture."""
        left, top, right, bottom = self.turn.undone(box, self.seen)
        return left + self.kept[0], top + self.kept[1], right + self.kept[0], bottom + self.kept[1]


def framing(width: int, height: int, orientation: int, plan: Plan) -> Framing:
    """Upright, trimmed, then mirrored and turned as the plan says. Trimming leaves at least a pixel."""
    upright = ORIENTATIONS.get(orientation, Turn())
    across, down = upright.size(width, height)
    top, right, bottom, left = plan.trim
    left, top = min(left, across - 1), min(top, down - 1)
    right, bottom = max(left + 1, across - right), max(top + 1, down - bottom)
    turn = upright.then(_FLIPS[plan.flip]).then(Turn(quarters=plan.rotate // 90))
    # What the plan itself does to the trimmed box changes its sides at most: odd quarters swap them.
    seen = Turn(quarters=plan.rotate // 90).size(right - left, bottom - top)
    return Framing(upright.undone((left, top, right, bottom), (across, down)), turn, seen, (across, down))


def layout(seen: Size, plan: Plan, gravity: tuple[float, float]) -> Layout:
    """The fits as Cloudflare's names mean them; one that needs both sides and has one is the like of it that does not.

    ``gravity`` shares out what is cut off, or left over when padding: (0, 0) keeps the top left corner.
    """
    width, height = seen
    whole: Box = (0.0, 0.0, float(width), float(height))
    fit = plan.fit if plan.width and plan.height else _ONE_SIDED.get(plan.fit, plan.fit)
    if fit == "squeeze":
        return Layout(whole, (plan.width, plan.height), (plan.width, plan.height))
    if fit in {"crop", "cover"}:
        across, down = plan.width, plan.height
        if fit == "crop":  # never enlarged: a side that is too short stays as it is
            across, down = min(across, width), min(down, height)
        scale = max(across / width, down / height)
        box_width, box_height = min(width, across / scale), min(height, down / scale)
        left, top = (width - box_width) * gravity[0], (height - box_height) * gravity[1]
        return Layout((left, top, left + box_width, top + box_height), (across, down), (across, down))
    scale = min([wanted / has for wanted, has in ((plan.width, width), (plan.height, height)) if wanted] or [1.0])
    if fit == "scale-down":
        scale = min(scale, 1.0)
    size = max(1, round(width * scale)), max(1, round(height * scale))
    if fit != "pad":
        return Layout(whole, size, size)
    offset = round((plan.width - size[0]) * gravity[0]), round((plan.height - size[1]) * gravity[1])
    return Layout(whole, size, (plan.width, plan.height), offset)


_ONE_SIDED: Final[dict[str, str]] = {"cover": "contain", "pad": "contain", "squeeze": "contain", "crop": "scale-down"}


def check(laid: Layout, frames: int, bounds: Bounds) -> None:
    """Refuse to make what is too large. Raises ImageError: ``side``, ``pixels``."""
    if max(*laid.size, *laid.canvas) > bounds.side:
        raise ImageError("side")
    if max(laid.size[0] * laid.size[1], laid.canvas[0] * laid.canvas[1]) * frames > bounds.pixels:
        raise ImageError("pixels")
