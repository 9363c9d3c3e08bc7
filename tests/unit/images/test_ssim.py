"""Likeness: one for the same, falling with quality, near what the usual measure says."""

from __future__ import annotations

import io

import pytest
from PIL import Image

from edgeproxy.images.ssim import Likeness
from tests.support import pictures

PHOTO = pictures.photo(400, 300)


def at(quality: int) -> Image.Image:
    return pictures.decode(pictures.encode(PHOTO, quality=quality))


def test_a_picture_is_like_itself_and_unlike_another() -> None:
    likeness = Likeness(PHOTO)
    assert likeness.to(PHOTO) == pytest.approx(1.0, abs=1e-4)
    assert likeness.to(pictures.photo(400, 300, seed=7)) < 0.5
    assert likeness.to(Image.new("RGB", PHOTO.size)) < 0.2


def test_it_falls_with_quality() -> None:
    likeness = Likeness(PHOTO)
    seen = [likeness.to(at(quality)) for quality in (95, 80, 50, 20, 5)]
    assert seen == sorted(seen, reverse=True)
    assert seen[0] > 0.97
    assert seen[-1] < 0.9


@pytest.mark.parametrize("quality", [90, 80, 60, 30])
def test_it_is_near_what_the_usual_measure_says(quality: int) -> None:
    assert Likeness(PHOTO).to(at(quality)) == pytest.approx(reference(PHOTO, at(quality)), abs=0.03)


@pytest.mark.parametrize("size", [(1, 1), (2, 300), (63, 64)])
def test_any_size_and_transparency(size: tuple[int, int]) -> None:
    picture = Image.new("RGBA", size, (9, 90, 200, 100))
    assert Likeness(picture).to(picture) == pytest.approx(1.0, abs=1e-4)


def reference(one: Image.Image, other: Image.Image) -> float:
    """Mean SSIM with a sliding window of seven, at full size, by numpy."""
    import numpy as np

    def box(values):  # type: ignore[no-untyped-def]
        sums = np.cumsum(np.cumsum(np.pad(values, ((1, 0), (1, 0))), 0), 1)
        return (sums[7:, 7:] - sums[:-7, 7:] - sums[7:, :-7] + sums[:-7, :-7]) / 49

    a, b = (np.asarray(picture.convert("L"), float) for picture in (one, other))
    ma, mb = box(a), box(b)
    va, vb, shared = box(a * a) - ma * ma, box(b * b) - mb * mb, box(a * b) - ma * mb
    found = (2 * ma * mb + 6.5025) * (2 * shared + 58.5225) / ((ma**2 + mb**2 + 6.5025) * (va + vb + 58.5225))
    return float(found.mean())


def test_a_loaded_file_will_do() -> None:
    body = pictures.encode(PHOTO, "WEBP")
    assert Likeness(PHOTO).to(Image.open(io.BytesIO(body))) > 0.9
