"""Content codings: whole bodies and streams come back as they were."""

from __future__ import annotations

import gzip
import random
import weakref
import zlib
from collections.abc import Callable

import brotli
import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http.codings import BR, GZIP, ZSTD, CodingError, Stream, compress, decompress, in_a_millisecond

UNPACK: dict[bytes, Callable[[bytes], bytes]] = {
    BR: brotli.decompress,
    GZIP: gzip.decompress,
    ZSTD: lambda data: zstandard.ZstdDecompressor().decompressobj().decompress(data),
}
LEVELS = {BR: (0, 5, 9, 11), ZSTD: (1, 3, 19), GZIP: (1, 2, 3, 4, 6, 9)}
TEXT = b"".join(b"line %d of the text\n" % number for number in range(20_000))


@pytest.mark.parametrize(("coding", "level"), [(coding, level) for coding in LEVELS for level in LEVELS[coding]])
def test_every_coding_and_level_comes_back(coding: bytes, level: int) -> None:
    packed = compress(TEXT[:50_000], coding, level)
    assert UNPACK[coding](packed) == decompress(packed, coding, 50_000) == TEXT[:50_000]
    stream = Stream(coding, level)
    chunks = [TEXT[start : start + 7000] for start in range(0, len(TEXT), 7000)]
    packed = b"".join([*map(stream.feed, chunks), stream.feed(b"")])
    assert UNPACK[coding](packed) == decompress(packed, coding, len(TEXT)) == TEXT
    assert len(packed) < len(TEXT) / 3


@pytest.mark.parametrize("coding", LEVELS)
def test_an_empty_stream_is_an_empty_body(coding: bytes) -> None:
    assert UNPACK[coding](Stream(coding, 3).feed(b"")) == b""


def test_a_stream_nobody_holds_is_freed() -> None:
    stream = Stream(BR, 5)
    gone = weakref.ref(stream)
    feed = stream.feed
    del stream
    assert gone() is not None
    del feed
    assert gone() is None


@pytest.mark.parametrize("coding", LEVELS)
def test_what_was_flushed_can_be_read_before_anything_else_comes(coding: bytes) -> None:
    stream = Stream(coding, 3)
    read = {
        BR: brotli.Decompressor().process,
        ZSTD: zstandard.ZstdDecompressor().decompressobj().decompress,
        GZIP: zlib.decompressobj(31).decompress,
    }[coding]
    for chunk in (b"a", b"data: 1\n\n", TEXT[:3000], b"b" * 70_000):
        assert read(stream.feed(chunk)) == chunk


@pytest.mark.parametrize("coding", LEVELS)
def test_what_arrived_together_is_flushed_once(coding: bytes) -> None:
    """What many small chunks cost is bounded by how often they are read, not by how many there are."""
    apart, together = Stream(coding, 3), Stream(coding, 3)
    lines = [b"line %d\n" % number for number in range(1000)]
    assert len(together.feed(b"".join(lines))) < sum(len(apart.feed(line)) for line in lines) / 2


@pytest.mark.parametrize("size", [1000, 3_000_000, 20_000_000])
@pytest.mark.parametrize("level", [3, 19])
def test_windows_of_zstd_are_those_that_every_reader_has_room_for(size: int, level: int) -> None:
    frame = compress(bytes(size), ZSTD, level)
    assert zstandard.get_frame_parameters(frame).window_size <= 8 * 1024 * 1024  # RFC 9659 §3
    assert zstandard.get_frame_parameters(Stream(ZSTD, level).feed(b"x")).window_size == 128 * 1024


@pytest.mark.parametrize("coding", LEVELS)
def test_more_than_asked_for_is_not_unpacked(coding: bytes) -> None:
    stream = Stream(coding, 1)
    for bomb in (compress(bytes(1_000_000), coding, 1), stream.feed(bytes(1_000_000)) + stream.feed(b"")):
        assert decompress(bomb, coding, 1_000_000) == bytes(1_000_000)
        with pytest.raises(CodingError):
            decompress(bomb, coding, 999_999)


def test_a_frame_that_claims_to_be_huge_is_not_made_room_for() -> None:
    claim = b"\x28\xb5\x2f\xfd\xe0" + (1 << 50).to_bytes(8, "little")  # RFC 8878 §3.1.1.1
    parameters = zstandard.ZstdCompressionParameters.from_level(3, window_log=24)
    wide = zstandard.ZstdCompressor(compression_params=parameters).compressobj()
    for frame in (claim + b"\x01\0\0", wide.compress(b"x") + wide.flush()):
        with pytest.raises(CodingError):
            decompress(frame, ZSTD, 1000)


@pytest.mark.parametrize("coding", LEVELS)
def test_a_body_cut_short_is_an_error(coding: bytes) -> None:
    stream = Stream(coding, 3)
    for packed in (compress(TEXT, coding, 3), stream.feed(TEXT) + stream.feed(b"")):
        for length in (0, 1, 20, len(packed) // 2, len(packed) - 1):
            with pytest.raises(CodingError):
                decompress(packed[:length], coding, len(TEXT))


@given(st.sampled_from([BR, ZSTD, GZIP]), st.binary(max_size=300), st.binary(max_size=40), st.integers(0, 300))
def test_whatever_is_unpacked_is_short_or_an_error(coding: bytes, data: bytes, noise: bytes, at: int) -> None:
    packed = compress(data, coding, 1)
    for spoilt in (noise, packed[:at] + noise + packed[at:], packed[:at] + noise + packed[at + len(noise) :]):
        try:
            assert len(decompress(spoilt, coding, 1000)) <= 1000
        except CodingError:
            pass


@given(
    st.sampled_from([(BR, 5), (ZSTD, 3), (GZIP, 1), (GZIP, 3), (GZIP, 6)]), st.lists(st.binary(min_size=1, max_size=99))
)
def test_any_chunks_come_back_as_they_were(coding: tuple[bytes, int], chunks: list[bytes]) -> None:
    stream = Stream(*coding)
    packed = b"".join([*map(stream.feed, chunks), stream.feed(b"")])
    assert decompress(packed, coding[0], 10_000) == b"".join(chunks)


def test_level_9_of_brotli_does_not_clear_a_large_table_for_a_short_body() -> None:
    """Its window is 64 KiB: what repeats further away is not found in a short body, and is in a long one."""
    block = random.Random(1).randbytes(60_000)
    assert len(compress(block + bytes(8_000) + block[:50_000], BR, 9)) > 100_000
    assert len(compress(block + bytes(30_000) + block[:50_000], BR, 9)) < 62_000


def test_higher_levels_do_less_in_a_millisecond() -> None:
    for coding, levels in LEVELS.items():
        sizes = [in_a_millisecond(coding, level) for level in levels]
        assert sizes == sorted(sizes, reverse=True)
        assert sizes[0] > sizes[-1]
