"""What a file's head announces is what Pillow finds, and nothing else comes of any other bytes but an ImageError."""

from __future__ import annotations

import io
import struct
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from edgeproxy.images.plan import Bounds, ImageError
from edgeproxy.images.probe import Source, check, probe
from tests.support import pictures

KINDS = pictures.kinds(72, 48)


@pytest.mark.parametrize("name", KINDS)
def test_the_head_tells_what_the_decoder_finds(name: str) -> None:
    with Image.open(io.BytesIO(KINDS[name])) as picture:
        found = probe(KINDS[name])
        assert found.format == str(picture.format).lower()
        assert (found.width, found.height) == picture.size
        assert found.frames == getattr(picture, "n_frames", 1)


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"GIF8",
        b"<svg xmlns='http://www.w3.org/2000/svg'/>",
        b"%!PS-Adobe-3.0 EPSF-3.0\n",
        b"8BPS\0\1" + bytes(40),
        b"II*\0" + bytes(40),
        b"MM\0*" + bytes(40),
        b"BM" + bytes(60),
        b"RIFF\x10\0\0\0WAVEfmt ",
        b"\0\0\0\x20ftypisom" + bytes(40),
        b"\0\0\0\x0cJXL \r\n\x87\n",
    ],
    ids=repr,
)
def test_other_formats_are_refused_by_their_first_bytes(content: bytes) -> None:
    with pytest.raises(ImageError, match="format"):
        probe(content)


@pytest.mark.parametrize(
    "content",
    [
        b"\xff\xd8\xff",
        b"\xff\xd8\xff\xe0\0\x10JFIF",
        b"\xff\xd8\xff\xd9" + bytes(40),
        b"\xff\xd8\xff\xda\0\4\0\0" + bytes(40),
        b"\xff\xd8" + b"\xff\xe1\0\2" * 6_000,
        b"\xff\xd8\xff\xc0\0\x11\x08\0\0\0\x10" + bytes(40),
        b"\x89PNG\r\n\x1a\n" + bytes(40),
        b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(17),
        b"GIF89a\0\0",
        b"GIF89a" + bytes(7),
        b"RIFF\x10\0\0\0WEBPVP9 " + bytes(40),
        b"RIFF\x10\0\0\0WEBPVP8X\x0a\0",
        b"\0\0\0\x10ftypavif\0\0\0\0",
        b"\0\0\0\x10ftypavif\0\0\0\0" + b"\0\0\0\x08free" * 6_000,
    ],
    ids=lambda content: repr(content[:24]),
)
def test_a_head_that_announces_nothing_is_damaged(content: bytes) -> None:
    with pytest.raises(ImageError, match="damaged"):
        probe(content)


@given(st.sampled_from(sorted(KINDS)), st.data())
def test_damaged_heads_raise_nothing_but_an_image_error(name: str, data: st.DataObject) -> None:
    content = bytearray(KINDS[name][: data.draw(st.integers(0, 600))])
    for at, value in data.draw(st.lists(st.tuples(st.integers(0, 600), st.integers(0, 255)), max_size=6)):
        if at < len(content):
            content[at] = value
    try:
        found = probe(bytes(content))
    except ImageError:
        return
    assert min(found.width, found.height, found.frames) >= 1


def test_a_gif_is_as_large_as_its_largest_frame_reaches() -> None:
    """Decoders enlarge the screen to it, so a small screen would hide a large picture."""
    frame = b"\x2c" + struct.pack("<HHHHB", 10, 0, 60_000, 50_000, 0) + b"\x02\x00"
    assert probe(b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0, 0, 0) + frame + b";") == Source("gif", 60_010, 50_000)


def test_an_avif_is_as_large_as_its_largest_item() -> None:
    small, large = (b"ispe" + bytes(4) + struct.pack(">II", side, side) for side in (8, 9000))
    boxes = b"".join(struct.pack(">I", 4 + len(box)) + box for box in (small, large))
    inner = struct.pack(">I", 8 + len(boxes)) + b"ipco" + boxes
    iprp = struct.pack(">I", 8 + len(inner)) + b"iprp" + inner
    meta = struct.pack(">I", 12 + len(iprp)) + b"meta" + bytes(4) + iprp
    assert probe(b"\0\0\0\x10ftypavif\0\0\0\0" + meta) == Source("avif", 9000, 9000)


def test_bytes_between_segments_are_passed_over_like_decoders_do() -> None:
    plain = pictures.encode(pictures.photo(40, 30))
    behind = 4 + struct.unpack_from(">H", plain, 4)[0]
    assert probe(plain[:behind] + b"\0\1\2" + plain[behind:]) == probe(plain)


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        (Source("png", 101, 1), "side"),
        (Source("png", 1, 101), "side"),
        (Source("gif", 1, 1, 11), "frames"),
        (Source("png", 90, 90), "pixels"),
        (Source("gif", 30, 30, 10), "pixels"),
    ],
)
def test_what_is_too_large_is_refused_before_it_is_decoded(found: Source, reason: str) -> None:
    with pytest.raises(ImageError, match=reason):
        check(found, Bounds(side=100, pixels=8_000, frames=10), anim=True)


def test_one_frame_of_many_counts_as_one() -> None:
    check(Source("gif", 90, 80, 10_000), Bounds(side=100, pixels=8_000, frames=10), anim=False)


def test_ten_thousand_frames_are_counted_without_decoding_one() -> None:
    frame = b"\x2c" + struct.pack("<HHHHB", 0, 0, 4, 4, 0) + b"\x02\x02\x4c\x01\x00"
    assert probe(b"GIF89a" + struct.pack("<HHBBB", 4, 4, 0, 0, 0) + frame * 10_000 + b";").frames == 10_000


def test_a_png_of_four_hundred_megapixels_is_known_by_its_head() -> None:
    bomb = pictures.png(20_000, 20_000, zlib.compress(b"", 9))
    assert probe(bomb) == Source("png", 20_000, 20_000)
