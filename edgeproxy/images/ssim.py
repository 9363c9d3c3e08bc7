"""How alike two pictures are: structural similarity (Wang et al., 2004) of their luma."""

from __future__ import annotations

from typing import Any, Final

from PIL import Image, ImageMath

_WINDOW: Final = 7  # pixels of a side; windows stand side by side, which is a fifth of the work of sliding one
_C1: Final = (0.01 * 255) ** 2
_C2: Final = (0.03 * 255) ** 2


class Likeness:
    """One picture that others of its size are held against; what depends on it alone is worked out once."""

    def __init__(self, picture: Image.Image) -> None:
        self._luma = _luma(picture)
        self._mean = _means(self._luma)
        self._variance = ImageMath.lambda_eval(
            lambda args: args["squares"] - args["mean"] * args["mean"],
            squares=_means(_product(self._luma, self._luma)),
            mean=self._mean,
        )

    def to(self, other: Image.Image) -> float:
        """1.0 for the same, about 0.95 for what most people take for the same, 0 for nothing alike."""
        luma = _luma(other)
        mean = _means(luma)
        found = ImageMath.lambda_eval(
            _similarity,
            ma=self._mean,
            mb=mean,
            va=self._variance,
            squares=_means(_product(luma, luma)),
            products=_means(_product(self._luma, luma)),
        )
        width, height = found.size
        return float(found.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))) if width * height else 1.0


def _similarity(args: dict[str, Any]) -> Any:
    ma, mb, va = args["ma"], args["mb"], args["va"]
    vb = args["squares"] - mb * mb
    shared = args["products"] - ma * mb
    return ((ma * mb * 2 + _C1) * (shared * 2 + _C2)) / ((ma * ma + mb * mb + _C1) * (va + vb + _C2))


def _luma(picture: Image.Image) -> Image.Image:
    if picture.mode == "RGBA":
        ground = Image.new("RGB", picture.size, (128, 128, 128))
        ground.paste(picture, mask=picture)
        picture = ground
    return picture.convert("L").convert("F")


def _product(one: Image.Image, other: Image.Image) -> Image.Image:
    product: Image.Image = ImageMath.lambda_eval(lambda args: args["a"] * args["b"], a=one, b=other)
    return product


def _means(picture: Image.Image) -> Image.Image:
    return picture.reduce(_WINDOW)
