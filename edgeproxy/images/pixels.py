"""Pictures as the pixels a model sees: decoded in the studio, which is confined, and never in this process."""

from __future__ import annotations

from typing import Final, Literal

from edgeproxy.images.plan import REASONS, Fit, ImageError, Plan
from edgeproxy.images.studio import Studio

_FITS: Final[dict[str, Fit]] = {"stretch": "squeeze", "cover": "cover", "pad": "pad"}

# The studio's reasons that say nothing of the picture: it may do for it later.
_LATER: Final = frozenset(("queue", "failed"))


class Pixels:
    """``rgb`` is all there is to it."""

    def __init__(self, studio: Studio) -> None:
        """``studio``: one that has been started when the first picture comes."""
        self._studio = studio

    async def rgb(self, source: bytes, width: int, height: int, fit: Literal["stretch", "cover", "pad"]) -> bytes:
        """A file's picture as ``3 * width * height`` bytes: upright, on white, row by row.

        Raises ValueError, a sentence, for what cannot be read, and TimeoutError where nobody has time to.
        """
        plan = Plan(width, height, _FITS[fit], format="pixels", metadata="none")
        try:
            picture = await self._studio.make(source, plan)
        except ImageError as error:
            if error.reason in _LATER:
                raise TimeoutError(REASONS[error.reason]) from None
            raise ValueError(f"the picture is not taken: {REASONS[error.reason]}") from None
        if len(picture.body) != 3 * width * height:  # a decoder may have been taken over
            raise ValueError("the picture is not taken: it cannot be decoded")
        return picture.body
