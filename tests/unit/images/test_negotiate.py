"""The best format for a client, by its Accept."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.images.negotiate import LONGEST, best_format

CHROMIUM = b"image/avif,image/webp,image/apng,image/svg+xml,image/*,*/*;q=0.8"
FIREFOX = b"image/avif,image/webp,image/png,image/svg+xml,image/*;q=0.8,*/*;q=0.5"
SAFARI = (
    b"image/webp,image/avif,image/jxl,image/heic,image/heic-sequence,video/*;q=0.8,image/png,image/svg+xml,"
    b"image/*;q=0.8,*/*;q=0.5"
)
OLD_SAFARI = b"image/png,image/svg+xml,image/*;q=0.8,video/*;q=0.8,*/*;q=0.5"
CURL = b"*/*"


@pytest.mark.parametrize(
    ("accept", "format"),
    [
        (CHROMIUM, "avif"),
        (FIREFOX, "avif"),
        (SAFARI, "avif"),
        (OLD_SAFARI, ""),
        (CURL, ""),
        (b"", ""),
        (b"image/*", ""),
        (b"image/webp,*/*", "webp"),
        (b"IMAGE/AVIF", "avif"),
        (b"image/avif;q=0.5,image/webp", "webp"),
        (b"image/avif;q=0,image/webp;q=0.1", "webp"),
        (b"image/avif;q=0", ""),
        (b"image/avif;q=0.000", ""),
        (b"image/webp;q=0.4,image/*;q=0.9", ""),
        (b"image/webp;q=0.4,*/*;q=0.9", ""),
        (b"image/avif;q=0.9,*/*;q=0.8", "avif"),
        (b"image/avifx,ximage/avif,image/avif+xml", ""),
        (b'text/html;a="image/avif, image/webp"', ""),
        (b"image/avif;codecs=av1", ""),
        (b"image/avif;q=2", ""),
        (b"image/avif;q=NaN", ""),
    ],
)
def test_only_a_format_that_is_named_and_liked_best_is_chosen(accept: bytes, format: str) -> None:  # noqa: A002
    assert best_format(accept, ("avif", "webp")) == format


def test_only_formats_that_are_offered_in_the_order_they_are() -> None:
    assert best_format(CHROMIUM, ("webp",)) == "webp"
    assert best_format(CHROMIUM, ("webp", "avif")) == "webp"
    assert best_format(CHROMIUM, ()) == ""


def test_an_endless_field_says_nothing() -> None:
    assert best_format(b"image/avif," + b"a/b," * LONGEST, ("avif", "webp")) == ""


@given(st.binary(max_size=60))
def test_whatever_is_written_is_answered(accept: bytes) -> None:
    assert best_format(accept, ("avif", "webp")) in {"avif", "webp", ""}
