"""Plans as values that pass between processes."""

from __future__ import annotations

import pickle
from typing import get_args

from edgeproxy.images.plan import REASONS, TYPES, Bounds, Craft, Format, ImageError, Picture, Plan


def test_every_format_has_its_type() -> None:
    assert set(TYPES) == set(get_args(Format))


def test_whatever_goes_to_a_process_and_comes_back_is_the_same_there() -> None:
    for value in (Plan(width=9, gravity="auto"), Bounds(), Craft(), Picture(b"x", b"image/png", 1, 1)):
        assert pickle.loads(pickle.dumps(value)) == value


def test_a_reason_is_one_word_with_a_meaning() -> None:
    assert ImageError("pixels").reason in REASONS
    assert all(word.replace("-", "").isalpha() and meaning for word, meaning in REASONS.items())
