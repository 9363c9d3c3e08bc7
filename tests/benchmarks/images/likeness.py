"""How like two pictures are: the mean structural similarity of their luma, against a full-quality reference."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageOps

_WINDOW = 7
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def ssim(a: Image.Image, b: Image.Image) -> float:
    """Mean SSIM of two pictures of one size, from -1 to 1 (Wang et al. 2004; scikit-image's default: windows of 7 x 7,
    sample covariance, borders left out). Raises ValueError for different sizes."""
    if a.size != b.size:
        raise ValueError(f"sizes differ: {a.size} and {b.size}")
    x, y = _luma(a), _luma(b)
    mean_x, mean_y = _means(x), _means(y)
    unbiased = _WINDOW**2 / (_WINDOW**2 - 1)
    variance_x = unbiased * (_means(x * x) - mean_x * mean_x)
    variance_y = unbiased * (_means(y * y) - mean_y * mean_y)
    covariance = unbiased * (_means(x * y) - mean_x * mean_y)
    above = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    below = (mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2)
    return float(np.mean(above / below))


class Reference:
    """What a picture should look like at any size: decoded in full, turned upright, scaled by Lanczos."""

    def __init__(self, path: Path) -> None:
        with Image.open(path) as picture:
            self._whole = ImageOps.exif_transpose(picture).convert("RGB")
        self._scaled: dict[tuple[int, int], Image.Image] = {}

    def likeness(self, body: bytes) -> float:
        """The SSIM of this encoded picture. Raises what Pillow raises for a body that is none."""
        with Image.open(io.BytesIO(body)) as picture:
            variant = picture.convert("RGB")
        if variant.size not in self._scaled:
            self._scaled[variant.size] = self._whole.resize(variant.size, Image.Resampling.LANCZOS)
        return ssim(self._scaled[variant.size], variant)


def _luma(picture: Image.Image) -> NDArray[np.float64]:
    return np.asarray(picture.convert("L"), dtype=np.float64)


def _means(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """The mean of each whole window."""
    for axis in (0, 1):
        values = np.insert(np.cumsum(values, axis=axis), 0, 0, axis=axis)
        last = values.shape[axis]
        upper = np.take(values, range(_WINDOW, last), axis=axis)
        values = upper - np.take(values, range(last - _WINDOW), axis=axis)
    return values / _WINDOW**2
