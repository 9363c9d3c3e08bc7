"""What is said about a picture: nothing, whose it is, or all but how the camera was held."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgeproxy.images.decode import open_picture
from edgeproxy.images.metadata import ARTIST, COPYRIGHT, Kept, kept
from edgeproxy.images.probe import probe
from tests.support import pictures

XMP = b"""<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">
<rdf:Description xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:creator><rdf:Seq><rdf:li>A. Painter</rdf:li>
</rdf:Seq></dc:creator><dc:rights><rdf:Alt><rdf:li xml:lang="x-default">\xc2\xa9 A. Painter</rdf:li></rdf:Alt>
</dc:rights>
<dc:title>Not this</dc:title></rdf:Description></rdf:RDF></x:xmpmeta>"""


def opened(form: str = "JPEG", **options: Any) -> Image.Image:
    source = pictures.encode(pictures.corners(16, 16), form, **options)
    return open_picture(source, probe(source))


def tags(block: bytes) -> dict[int, Any]:
    exif = Image.Exif()
    exif.load(block)
    return dict(exif)


def info(**values: Any) -> Image.Image:
    picture = Image.new("RGB", (4, 4))
    picture.info = values
    return picture


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "AVIF"])
def test_of_exif_whose_it_is_stays_and_where_it_was_taken_goes(form: str) -> None:
    picture = opened(form, exif=pictures.exif(6, "(c) A. Painter", gps=True))
    assert tags(kept(picture, "copyright").exif) == {COPYRIGHT: "(c) A. Painter"}
    whole = tags(kept(picture, "keep").exif)
    assert {COPYRIGHT, pictures.GPS} <= set(whole)
    assert pictures.ORIENTATION not in whole
    assert kept(picture, "none") == Kept()


def test_signs_beyond_ascii_stay_the_bytes_they_were() -> None:
    exif = Image.Exif()
    exif[COPYRIGHT] = "© Ä".encode()
    block = kept(opened(exif=exif.tobytes()), "copyright").exif
    assert "© Ä".encode() in block


def test_nothing_is_made_up() -> None:
    assert kept(opened(), "copyright") == Kept()
    assert kept(opened(), "keep") == Kept()
    assert kept(opened(exif=pictures.exif(6)), "copyright") == Kept()


def test_xmp_tells_whose_it_is_where_exif_does_not() -> None:
    assert tags(kept(info(xmp=XMP), "copyright").exif) == {
        ARTIST: "A. Painter",
        COPYRIGHT: "© A. Painter".encode().decode("latin-1"),
    }
    assert kept(info(xmp=XMP), "copyright").xmp == b""
    assert kept(info(xmp=XMP), "keep").xmp == XMP


def test_iptc_tells_whose_it_is_too_and_exif_comes_first() -> None:
    block = b"\x1c\x02\x50\x00\x05Agnes\x1c\x02\x74\x00\x04(c)A\x1c\x02\x78\x00\x03abc"
    assert tags(kept(info(photoshop={0x0404: block}), "copyright").exif) == {ARTIST: "Agnes", COPYRIGHT: "(c)A"}
    both = info(photoshop={0x0404: block}, exif=pictures.exif(1, "exif"))
    assert tags(kept(both, "copyright").exif) == {ARTIST: "Agnes", COPYRIGHT: "exif"}


@pytest.mark.parametrize(
    "xmp",
    [
        b"<a",
        b'<!DOCTYPE a [<!ENTITY b "bbbbbbbb">]><a xmlns:dc="http://purl.org/dc/elements/1.1/"><dc:rights>&b;</dc:rights></a>',
        b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><a/>',
        XMP + bytes(70_000) + b"x",
        3,
    ],
    ids=lambda xmp: repr(xmp)[:24],
)
def test_xmp_that_is_none_or_a_bomb_says_nothing(xmp: Any) -> None:
    assert kept(info(xmp=xmp), "copyright") == Kept()


def test_blocks_that_no_jpeg_can_hold_are_dropped() -> None:
    exif = Image.Exif()
    exif[0x010F] = "x" * 66_000
    assert kept(info(exif=exif.tobytes()), "keep").exif == b""


def test_a_notice_has_a_bound() -> None:
    exif = Image.Exif()
    exif[COPYRIGHT] = "x" * 30_000
    assert len(kept(info(exif=exif.tobytes()), "copyright").exif) < 2_200


@given(st.binary(max_size=200), st.binary(max_size=200), st.binary(max_size=200))
@pytest.mark.filterwarnings("ignore::UserWarning")
def test_any_bytes_are_read_without_a_word(exif: bytes, xmp: bytes, iptc: bytes) -> None:
    for how in ("none", "copyright", "keep"):
        kept(info(exif=b"Exif\0\0" + exif, xmp=xmp, photoshop={0x0404: b"\x1c\x02" + iptc}), how)  # type: ignore[arg-type]


def test_what_is_kept_can_be_written_and_read_again() -> None:
    picture = opened(exif=pictures.exif(6, "mine", gps=True))
    for form in ("JPEG", "PNG", "WEBP", "AVIF"):
        target = io.BytesIO()
        Image.new("RGB", (8, 8)).save(target, form, exif=kept(picture, "keep").exif)
        assert pictures.decode(target.getvalue()).getexif()[COPYRIGHT] == "mine"
