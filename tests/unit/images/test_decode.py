"""Pixels out of files: the announced decoder alone, no larger than announced, no larger than needed."""

from __future__ import annotations

import pytest

from edgeproxy.images.decode import draft, open_picture, orientation
from edgeproxy.images.plan import ImageError
from edgeproxy.images.probe import Source, probe
from tests.support import pictures

KINDS = pictures.kinds()


@pytest.mark.parametrize("name", KINDS)
def test_every_kind_is_opened_and_not_decoded(name: str) -> None:
    found = probe(KINDS[name])
    picture = open_picture(KINDS[name], found)
    assert picture.size == (found.width, found.height)
    assert picture.tile or found.format in {"webp", "avif"}


def test_a_decoder_that_finds_more_than_was_announced_is_not_asked_further() -> None:
    with pytest.raises(ImageError, match="damaged"):
        open_picture(KINDS["rgb.png"], Source("png", 10, 10))


@pytest.mark.parametrize(
    ("wanted", "gap", "decoded"), [(100, 1.0, 100), (100, 2.0, 200), (101, 1.0, 200), (900, 1.0, 800)]
)
def test_a_jpeg_is_decoded_at_the_fraction_that_is_enough(wanted: int, gap: float, decoded: int) -> None:
    source = pictures.encode(pictures.photo(800, 400))
    picture = open_picture(source, probe(source))
    factors = draft(picture, (0, 0, 800, 400), (wanted, wanted // 2), gap)
    picture.load()
    assert picture.width == decoded
    assert factors == (decoded / 800, decoded / 800)


def test_a_small_part_needs_more_of_the_whole() -> None:
    source = pictures.encode(pictures.photo(800, 400))
    picture = open_picture(source, probe(source))
    assert draft(picture, (0, 0, 400, 200), (100, 50), 1.0) == (0.25, 0.25)


def test_other_formats_are_decoded_whole() -> None:
    picture = open_picture(KINDS["rgb.png"], probe(KINDS["rgb.png"]))
    assert draft(picture, (0, 0, 120, 80), (12, 8), 1.0) == (1.0, 1.0)


def test_a_jpeg_is_given_to_its_decoder_in_one_piece() -> None:
    source = pictures.encode(pictures.photo(600, 600), quality=100)
    assert len(source) > 65_536
    assert open_picture(source, probe(source)).decodermaxblock == len(source)


@pytest.mark.filterwarnings("ignore:Corrupt EXIF")
def test_orientation_is_one_where_nothing_is_said_or_it_makes_no_sense() -> None:
    seen = pictures.corners(16, 16)
    for exif, expected in (
        (pictures.exif(6), 6),
        (pictures.exif(9), 1),
        (b"", 1),
        (b"Exif\0\0" + b"junk" * 9, 1),
        (pictures.exif(6)[:20], 1),
    ):
        source = pictures.encode(seen, exif=exif)
        assert orientation(open_picture(source, probe(source))) == expected
