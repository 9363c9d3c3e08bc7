"""Fits, turns and trimming, in numbers."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.images.geometry import ORIENTATIONS, Turn, check, framing, layout
from edgeproxy.images.plan import Bounds, ImageError, Plan

MIDDLE = (0.5, 0.5)
TURNS = list(ORIENTATIONS.values())


@pytest.mark.parametrize(
    ("fit", "wanted", "size", "canvas", "box"),
    [
        ("scale-down", (200, 200), (200, 100), (200, 100), (0, 0, 400, 200)),
        ("scale-down", (0, 50), (100, 50), (100, 50), (0, 0, 400, 200)),
        ("scale-down", (800, 800), (400, 200), (400, 200), (0, 0, 400, 200)),
        ("scale-down", (0, 0), (400, 200), (400, 200), (0, 0, 400, 200)),
        ("contain", (800, 800), (800, 400), (800, 400), (0, 0, 400, 200)),
        ("contain", (100, 100), (100, 50), (100, 50), (0, 0, 400, 200)),
        ("cover", (100, 100), (100, 100), (100, 100), (100, 0, 300, 200)),
        ("cover", (800, 800), (800, 800), (800, 800), (100, 0, 300, 200)),
        ("cover", (100, 0), (100, 50), (100, 50), (0, 0, 400, 200)),
        ("crop", (100, 100), (100, 100), (100, 100), (100, 0, 300, 200)),
        ("crop", (800, 800), (400, 200), (400, 200), (0, 0, 400, 200)),
        ("crop", (100, 800), (100, 200), (100, 200), (150, 0, 250, 200)),
        ("crop", (800, 0), (400, 200), (400, 200), (0, 0, 400, 200)),
        ("pad", (100, 100), (100, 50), (100, 100), (0, 0, 400, 200)),
        ("pad", (800, 800), (800, 400), (800, 800), (0, 0, 400, 200)),
        ("squeeze", (100, 100), (100, 100), (100, 100), (0, 0, 400, 200)),
        ("squeeze", (0, 100), (200, 100), (200, 100), (0, 0, 400, 200)),
    ],
)
def test_a_fit_is_what_its_name_means(fit, wanted, size, canvas, box) -> None:
    laid = layout((400, 200), Plan(width=wanted[0], height=wanted[1], fit=fit), MIDDLE)
    assert (laid.size, laid.canvas, laid.box) == (size, canvas, box)


def test_gravity_shares_out_what_is_cut_off_and_what_is_left_over() -> None:
    cover, pad = Plan(width=100, height=100, fit="cover"), Plan(width=100, height=100, fit="pad")
    assert layout((400, 200), cover, (0.0, 0.0)).box == (0, 0, 200, 200)
    assert layout((400, 200), cover, (1.0, 1.0)).box == (200, 0, 400, 200)
    assert layout((400, 200), pad, MIDDLE).offset == (0, 25)
    assert layout((400, 200), pad, (0.0, 1.0)).offset == (0, 50)


@given(
    st.tuples(st.integers(1, 12_000), st.integers(1, 12_000)),
    st.integers(0, 4000),
    st.integers(0, 4000),
    st.sampled_from(["scale-down", "contain", "cover", "crop", "pad", "squeeze"]),
    st.tuples(st.floats(0, 1), st.floats(0, 1)),
)
def test_nothing_is_empty_and_nothing_reaches_beyond_the_picture_or_the_canvas(
    seen, width, height, fit, gravity
) -> None:
    laid = layout(seen, Plan(width=width, height=height, fit=fit), gravity)
    left, top, right, bottom = laid.box
    assert -1e-6 <= left < right <= seen[0] + 1e-6
    assert -1e-6 <= top < bottom <= seen[1] + 1e-6
    assert min(*laid.size, *laid.canvas) >= 1
    assert all(0 <= at <= most - has for at, most, has in zip(laid.offset, laid.canvas, laid.size, strict=True))
    if fit in {"scale-down", "crop"}:
        assert laid.size[0] <= seen[0]
        assert laid.size[1] <= seen[1]


def test_turns_one_after_the_other_are_the_turn_they_make() -> None:
    """Seen by where the corners of a box go, for all sixty-four pairs."""
    box, size = (1.0, 2.0, 3.0, 7.0), (10, 20)
    for first in TURNS:
        for second in TURNS:
            between, after = first.size(*size), second.size(*first.size(*size))
            step = first.undone(second.undone(box, after), between)
            assert first.then(second).undone(box, after) == step
            assert first.then(second).size(*size) == after


def test_every_orientation_is_another_one() -> None:
    assert len(set(TURNS)) == 8


def test_trimming_is_of_the_upright_picture_and_before_turning() -> None:
    plan = Plan(trim=(10, 20, 30, 40), rotate=90)
    framed = framing(100, 200, 1, plan)
    assert framed.kept == (40, 10, 80, 170)
    assert framed.seen == (160, 40)
    # Stored lying on its side (turned clockwise to stand upright): its top is stored on the left.
    assert framing(200, 100, 6, Plan(trim=(10, 0, 0, 0))).kept == (10, 0, 200, 100)


def test_trimming_leaves_a_pixel() -> None:
    framed = framing(100, 200, 1, Plan(trim=(500, 500, 500, 500)))
    assert framed.seen == (1, 1)
    assert framed.kept == (99, 199, 100, 200)


def test_a_box_of_what_is_seen_lies_within_what_was_kept() -> None:
    framed = framing(100, 200, 1, Plan(trim=(10, 10, 10, 10), rotate=180))
    assert framed.stored((0, 0, 80, 180)) == (10, 10, 90, 190)
    assert framed.stored((0, 0, 1, 1)) == (89, 189, 90, 190)


def test_a_flip_comes_before_a_turn() -> None:
    assert framing(10, 20, 1, Plan(flip="h", rotate=90)).turn == Turn(mirrored=True, quarters=1)


@pytest.mark.parametrize(
    ("plan", "reason"),
    [
        (Plan(width=101, fit="contain"), "side"),
        (Plan(width=90, height=90, fit="cover"), "pixels"),
        (Plan(width=80, height=100, fit="pad"), "pixels"),
    ],
)
def test_what_would_become_too_large_is_not_begun(plan: Plan, reason: str) -> None:
    bounds = Bounds(side=100, pixels=7_000)
    check(layout((40, 10), Plan(), MIDDLE), 10, bounds)
    with pytest.raises(ImageError, match=reason):
        check(layout((40, 10), plan, MIDDLE), 1, bounds)


def test_pixels_of_all_frames_count() -> None:
    with pytest.raises(ImageError, match="pixels"):
        check(layout((40, 10), Plan(), MIDDLE), 20, Bounds(pixels=7_000))
