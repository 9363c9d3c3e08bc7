"""Zstandard block by block: the same bytes out, in pieces of a bounded size, and no error but those declared."""

from __future__ import annotations

import random
import tracemalloc

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.compression.zstd_blocks import BLOCK, SMALL, ZstdBlocks
from edgeproxy.errors import EdgeError, Kind

WINDOW = 8 * 1024 * 1024
NOISE = random.Random(1).randbytes(300_000)
TEXT = b"".join(b"%d bottles of beer on the wall\n" % n for n in range(20_000))
SKIPPED = b"\x50\x2a\x4d\x18" + (5).to_bytes(4, "little") + b"aside"


def packed(data: bytes, level: int = 3, **options: bool) -> bytes:
    return zstandard.ZstdCompressor(level=level, **options).compress(data)


def flushed(pieces: list[bytes]) -> bytes:
    compressor = zstandard.ZstdCompressor().compressobj()
    flush = zstandard.COMPRESSOBJ_FLUSH_BLOCK
    return b"".join(compressor.compress(piece) + compressor.flush(flush) for piece in pieces) + compressor.flush()


def zeros(blocks: int) -> bytes:
    """A frame of run-length blocks, 4 bytes for 128 KiB each: what no compressor writes."""
    head = b"\x28\xb5\x2f\xfd" + bytes([0b0000_0000, 0b0011_1000])  # a window of 128 KiB
    lines = [((BLOCK << 3) | 1 << 1 | (number == blocks - 1)).to_bytes(3, "little") + b"\0" for number in range(blocks)]
    return head + b"".join(lines)


def unpacked(data: bytes, fed: int = 8192, window: int = WINDOW) -> tuple[bytes, ZstdBlocks]:
    blocks = ZstdBlocks(window)
    pieces: list[bytes] = []
    for start in range(0, len(data), fed):
        piece = blocks.step(data[start : start + fed])
        while piece:
            assert len(piece) <= BLOCK
            pieces.append(piece)
            piece = blocks.step(b"")
    return b"".join(pieces), blocks


@pytest.mark.parametrize("fed", [1, 7, 8192])
@pytest.mark.parametrize("data", [b"", b"a", TEXT[:3000], NOISE[:3000]], ids=["empty", "one", "text", "noise"])
@pytest.mark.parametrize("options", [{}, {"write_checksum": True}, {"write_content_size": False}], ids=str)
def test_what_was_packed_comes_out(data: bytes, fed: int, options: dict[str, bool]) -> None:
    out, blocks = unpacked(packed(data, **options), fed)
    assert out == data
    assert blocks.whole


@pytest.mark.parametrize("level", [1, 3, 19])
@pytest.mark.parametrize(
    "data", [TEXT, NOISE, TEXT + NOISE + TEXT, bytes(1_000_000)], ids=["text", "noise", "both", "0"]
)
def test_large_bodies_come_out(data: bytes, level: int) -> None:
    out, blocks = unpacked(packed(data, level))
    assert out == data
    assert blocks.whole


def test_frames_follow_each_other_and_some_are_skipped() -> None:
    for fed in (1, 9, 8192):
        out, blocks = unpacked(SKIPPED + packed(b"one ") + SKIPPED + packed(b"two") + SKIPPED, fed)
        assert out == b"one two"
        assert blocks.whole


def test_what_a_sender_has_flushed_comes_out_at_once() -> None:
    compressor = zstandard.ZstdCompressor().compressobj()
    blocks = ZstdBlocks(WINDOW)
    for line in (b"first", b"second", TEXT[:5000]):
        assert blocks.step(compressor.compress(line) + compressor.flush(zstandard.COMPRESSOBJ_FLUSH_BLOCK)) == line
    assert not blocks.whole
    assert blocks.step(compressor.flush()) == b""
    assert blocks.whole


@pytest.mark.parametrize("cut", [1, 4, 5, 6, 9, 20, -1, -4])
def test_a_part_of_a_frame_is_not_whole(cut: int) -> None:
    _, blocks = unpacked(packed(TEXT[:5000], write_checksum=True)[:cut])
    assert not blocks.whole


def test_nothing_is_not_whole_and_neither_is_a_skipped_frame_that_breaks_off() -> None:
    assert not ZstdBlocks(WINDOW).whole
    assert not unpacked(SKIPPED[:-1])[1].whole
    assert not unpacked(packed(b"a") + SKIPPED[:6])[1].whole


def test_one_call_makes_a_bounded_piece_of_what_stands_for_gigabytes() -> None:
    bomb = zeros(8000)  # 32 kB for 1 GB
    blocks = ZstdBlocks(WINDOW)
    tracemalloc.start()
    try:
        assert blocks.step(bomb) == bytes(BLOCK)
        assert blocks.step(b"") == bytes(BLOCK)
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()
    out, whole = unpacked(zeros(20))
    assert out == bytes(20 * BLOCK)
    assert whole.whole


@pytest.mark.parametrize("log", [24, 27, 31])
def test_a_window_larger_than_allowed_is_refused_before_it_is_made(log: int) -> None:
    head = b"\x28\xb5\x2f\xfd" + bytes([0, (log - 10) << 3])
    with pytest.raises(EdgeError) as caught:
        ZstdBlocks(WINDOW).step(head)
    assert caught.value.kind is Kind.BODY_TOO_LARGE
    ZstdBlocks(WINDOW).step(b"\x28\xb5\x2f\xfd" + bytes([0, (23 - 10) << 3]))


def test_a_body_of_tiny_blocks_is_refused() -> None:
    head = b"\x28\xb5\x2f\xfd\x00\x38"
    tiny = (1 << 3).to_bytes(3, "little") + b"x"
    with pytest.raises(EdgeError) as caught:
        unpacked(head + tiny * (2 * SMALL))
    assert caught.value.kind is Kind.BAD_REQUEST
    with pytest.raises(EdgeError):
        unpacked((SKIPPED[:4] + bytes(4)) * (4 * SMALL))


def test_lines_flushed_one_by_one_are_not_tiny_blocks() -> None:
    lines = [b'{"n":%d,"event":"%s"}\n' % (n, NOISE[n : n + 20].hex().encode()) for n in range(5000)]
    assert unpacked(flushed(lines))[0] == b"".join(lines)


@pytest.mark.parametrize(
    "data",
    [
        b"hello, this is no frame",
        b"\x28\xb5\x2f\xfd\x00\x38" + (7 << 1).to_bytes(3, "little"),  # a reserved kind of block
        b"\x28\xb5\x2f\xfd\x00\x38" + ((BLOCK + 1) << 3).to_bytes(3, "little"),
        packed(b"x" * 500) + b"behind it",
        packed(TEXT, write_checksum=True)[:-1] + b"?",
        b"\x28\xb5\x2f\xfd\x01\x38\x07" + packed(b"x")[6:],  # needs a dictionary
    ],
    ids=range(6),
)
def test_what_is_no_zstd_is_refused(data: bytes) -> None:
    with pytest.raises((EdgeError, zstandard.ZstdError)):
        unpacked(data)


@given(st.binary(max_size=400), st.integers(0, 60), st.integers(0, 255), st.integers(1, 64))
def test_no_input_raises_anything_else(noise: bytes, at: int, byte: int, fed: int) -> None:
    damaged = bytearray(packed(TEXT[:2000]))
    damaged[at] = byte
    for data in (noise, b"\x28\xb5\x2f\xfd" + noise, bytes(damaged)):
        try:
            unpacked(data, fed)
        except (EdgeError, zstandard.ZstdError):
            continue
