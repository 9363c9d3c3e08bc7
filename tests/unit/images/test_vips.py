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
@pytest.mark.parametrize("mode", ["RGB", "L"])
@pytest.mark.parametrize(
    "box", [(0.0, 0.0, 320.0, 240.0), (40.0, 20.0, 300.0, 200.0), (0.0, 0.0, 319.0, 239.0)], ids=str
)
def test_what_it_makes_smaller_is_what_lanczos_makes_of_it(mode: str, box: Any) -> None:
    picture = UPRIGHT.convert(mode)
    seen = vips.resized(picture, box, (80, 60))
    assert seen is not None
    exact = picture.resize((80, 60), Image.Resampling.LANCZOS, box)
    assert (seen.mode, seen.size) == (mode, (80, 60))
    assert max(ImageStat.Stat(ImageChops.difference(seen, exact)).mean) < 1.5


@needed
@pytest.mark.parametrize(
    ("picture", "box", "size"),
    [
        (UPRIGHT, (0.0, 0.0, 320.0, 240.0), (640, 480)),
        (UPRIGHT, (0.0, 0.0, 319.5, 240.0), (80, 60)),
        (UPRIGHT, (0.5, 0.0, 320.0, 240.0), (80, 60)),
        (UPRIGHT.convert("RGBA"), (0.0, 0.0, 320.0, 240.0), (80, 60)),
        (UPRIGHT.convert("P"), (0.0, 0.0, 320.0, 240.0), (80, 60)),
    ],
    ids=["grows", "half a pixel at its end", "half a pixel", "transparent", "palette"],
)
def test_the_rest_is_left_to_pillow(picture: Image.Image, box: Any, size: tuple[int, int]) -> None:
    assert vips.resized(picture, box, size) is None


@needed
def test_no_file_is_ever_read_by_it() -> None:
    pyvips = sys.modules["pyvips"]
    with pytest.raises(pyvips.Error):
        pyvips.Image.new_from_buffer(pictures.encode(UPRIGHT, "PNG"), "")


def test_without_it_pillow_does_all(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "pyvips", raising=False)
    assert vips.resized(UPRIGHT, (0.0, 0.0, 320.0, 240.0), (80, 60)) is None
    assert made(pictures.encode(UPRIGHT), "vips", width=80).size == (80, 60)
