"""Moving pictures: frames, times, repetitions and what lies under a frame, from format to format."""

from __future__ import annotations

import io
from typing import Any

import pytest
from PIL import Image, ImageDraw, ImageSequence

from edgeproxy.images.engine import make
from edgeproxy.images.plan import Bounds, Craft, Plan
from tests.support import pictures

FRAMES = pictures.animation(4, 60, 40)
TIMES = [30, 200, 70, 1000]


def made(source: bytes, **wishes: Any) -> Image.Image:
    return pictures.decode(make(source, Plan(**wishes), Bounds(), Craft()).body)


def times(picture: Image.Image) -> list[int]:
    return [frame.load() and int(frame.info["duration"]) for frame in ImageSequence.Iterator(picture)]  # type: ignore[misc]


@pytest.mark.parametrize("source", ["GIF", "WEBP", "AVIF", "PNG"])
@pytest.mark.parametrize("form", ["webp", "gif"])
def test_frames_and_their_times_stay(source: str, form: Any) -> None:
    seen = made(pictures.encode(FRAMES, source, duration=TIMES), width=30, format=form)
    assert seen.size == (30, 20)
    assert times(seen) == TIMES


@pytest.mark.parametrize(
    ("source", "options", "form", "loop"),
    [
        ("GIF", {"loop": 0}, "webp", 0),
        ("GIF", {"loop": None}, "webp", 1),
        ("GIF", {"loop": 2}, "webp", 3),
        ("GIF", {"loop": 2}, "gif", 2),
        ("GIF", {"loop": None}, "gif", None),
        ("WEBP", {"loop": 3}, "webp", 3),
        ("WEBP", {"loop": 3}, "gif", 2),
        ("WEBP", {"loop": 1}, "gif", None),
        ("WEBP", {"loop": 0}, "gif", 0),
        ("PNG", {"loop": 5}, "webp", 5),
    ],
)
def test_it_is_played_as_often(source: str, options: dict[str, Any], form: Any, loop: int | None) -> None:
    assert made(pictures.encode(FRAMES, source, **options), width=30, format=form).info.get("loop") == loop


@pytest.mark.parametrize("disposal", [1, 2, 3])
def test_what_a_frame_leaves_behind_is_seen_as_before(disposal: int) -> None:
    frames = []
    for at in range(4):
        frame = Image.new("RGBA", (40, 40), (0, 0, 0, 0))
        ImageDraw.Draw(frame).ellipse((at * 10, 10, at * 10 + 9, 29), fill=(250, 10, 10, 255))
        frames.append(frame)
    source = pictures.encode(frames, "GIF", disposal=disposal)
    before = Image.open(io.BytesIO(source))
    after = made(source, format="webp")
    assert getattr(after, "n_frames", 1) == getattr(before, "n_frames", 1)
    for number in range(getattr(before, "n_frames", 1)):
        before.seek(number)
        after.seek(number)
        one, other = (picture.convert("RGBA").resize((4, 1), Image.Resampling.BOX) for picture in (before, after))
        for x in range(4):
            assert one.getpixel((x, 0))[3] == pytest.approx(other.getpixel((x, 0))[3], abs=12)


def test_every_frame_is_cropped_at_the_same_place() -> None:
    seen = made(pictures.encode(FRAMES, "GIF"), width=20, height=20, fit="cover", gravity="auto", format="webp")
    stills = []
    for number in range(4):
        seen.seek(number)
        stills.append(seen.convert("RGB").crop((0, 0, 20, 4)).resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)))
    assert all(sum(abs(a - b) for a, b in zip(stills[0], still, strict=True)) < 12 for still in stills)


def test_one_frame_alone_where_none_is_to_move() -> None:
    for form in ("webp", "gif", "png", "avif"):
        seen = made(pictures.encode(FRAMES, "GIF"), width=30, format=form, anim=False)
        assert getattr(seen, "n_frames", 1) == 1


def test_effects_and_turns_are_of_every_frame() -> None:
    seen = made(pictures.encode(FRAMES, "WEBP"), format="webp", saturation=0.0, rotate=90)
    assert seen.size == (40, 60)
    for frame in ImageSequence.Iterator(seen):
        red, green, blue = frame.convert("RGB").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0))
        assert max(red, green, blue) - min(red, green, blue) < 6


def test_what_those_see_who_know_no_animated_png_need_not_be_a_frame_of_it() -> None:
    still = Image.new("RGB", FRAMES[0].size, (0, 0, 0))
    source = pictures.encode([still, *FRAMES], "PNG", default_image=True)
    seen = made(source, width=30, format="webp")
    assert getattr(seen, "n_frames", 1) == 4
    assert seen.convert("L").resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)) > 40
