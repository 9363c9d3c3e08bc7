"""libvips, where it is installed: the same picture as Pillow makes; where it is not, Pillow's."""

from __future__ import annotations

import sys
from typing import Any

import pytest
from PIL import Image, ImageChops, ImageStat

from edgeproxy.images import vips
from edgeproxy.images.engine import make
from edgeproxy.images.plan import Bounds, Craft, Plan
from tests.support import pictures

UPRIGHT = pictures.photo(320, 240)
vips.load()
needed = pytest.mark.skipif(not vips.installed(), reason="pyvips is not installed")


def made(source: bytes, engine: Any, **wishes: Any) -> Image.Image:
    return pictures.decode(make(source, Plan(**wishes), Bounds(), Craft(engine=engine)).body)


@pytest.mark.parametrize("mode", ["RGB", "L", "CMYK"])
@pytest.mark.parametrize(
    "wishes", [{}, {"rotate": 90}, {"height": 50, "fit": "cover"}, {"trim": (9, 9, 9, 9)}], ids=str
)
@pytest.mark.parametrize("orientation", [1, 6, 7])
def test_the_picture_is_the_same(mode: str, wishes: dict[str, Any], orientation: int) -> None:
    profile = pictures.swapped_profile() if mode == "RGB" else b""
    source = pictures.oriented(UPRIGHT.convert(mode), orientation, quality=95, icc_profile=profile)
    one, other = (
        made(source, engine, width=80, format="png", **wishes).convert("RGB") for engine in ("vips", "pillow")
    )
    assert one.size == other.size
    assert max(ImageStat.Stat(ImageChops.difference(one, other)).mean) < 4


@needed
def test_a_whole_jpeg_is_shrunk_by_it_and_nothing_else_is() -> None:
    seen = vips.shrunk(pictures.encode(UPRIGHT, quality=95), (80, 60))
    assert seen is not None
    exact = UPRIGHT.resize((80, 60), Image.Resampling.LANCZOS)
    assert max(ImageStat.Stat(ImageChops.difference(seen, exact)).mean) < 2
    for form in ("PNG", "WEBP", "GIF", "TIFF", "BMP"):
        assert vips.shrunk(pictures.encode(UPRIGHT, form), (80, 60)) is None


@needed
def test_what_is_damaged_is_left_to_pillow_to_judge() -> None:
    source = pictures.encode(UPRIGHT)
    assert vips.shrunk(source[: len(source) // 2], (80, 60)) is None
    assert vips.shrunk(b"\xff\xd8\xff" + b"junk" * 99, (80, 60)) is None


def test_without_it_pillow_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pyvips", raising=False)
    assert vips.shrunk(pictures.encode(UPRIGHT), (80, 60)) is None
    assert made(pictures.encode(UPRIGHT), "vips", width=80).size == (80, 60)
