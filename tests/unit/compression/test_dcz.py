"""The coding dcz: its layout, its window, whole and as a stream."""

from __future__ import annotations

import hashlib
import random

import pytest
import zstandard

from edgeproxy.compression.dcz import LONGEST, Stream, pack
from tests.support.versions import script, undo_dcz

OLD, NEW = script(1), script(2)
DIGEST = hashlib.sha256(OLD).digest()


def test_a_later_version_is_a_hundredth_and_comes_back_whole() -> None:
    packed = pack(NEW, OLD, DIGEST, 9)
    assert undo_dcz(packed, OLD) == NEW
    assert len(packed) < len(NEW) / 100


def test_readers_without_dictionaries_skip_the_header() -> None:
    """It is a skippable frame (RFC 8878 §3.1.2)."""
    packed = pack(NEW, b"", DIGEST, 3)
    reader = zstandard.ZstdDecompressor().stream_reader(packed, read_across_frames=True)
    assert reader.read() == NEW


@pytest.mark.parametrize("length", [len(NEW), None])
def test_a_stream_is_flushed_chunk_by_chunk(length: int | None) -> None:
    stream = Stream(OLD, DIGEST, 9, length)
    raw = zstandard.ZstdCompressionDict(OLD, dict_type=zstandard.DICT_TYPE_RAWCONTENT)
    reader = zstandard.ZstdDecompressor(dict_data=raw).decompressobj()
    packed = stream.feed(NEW[:1000])
    assert reader.decompress(packed[40:]) == NEW[:1000]
    rest = stream.feed(NEW[1000:])
    assert reader.decompress(rest) == NEW[1000:]
    end = stream.feed(b"")
    assert undo_dcz(packed + rest + end, OLD) == NEW
    assert len(packed + rest + end) < len(NEW) / 50


def test_an_empty_stream_is_an_empty_body() -> None:
    assert undo_dcz(Stream(OLD, DIGEST, 9, None).feed(b""), OLD) == b""


@pytest.mark.parametrize(("size", "level"), [(1, 1), (100_000, 19), (3 << 20, 9), (LONGEST, 3), (LONGEST + 1, 3)])
def test_the_window_is_one_every_client_has_room_for(size: int, level: int) -> None:
    dictionary = random.Random(2).randbytes(min(size, 2 << 20))
    data = dictionary * (size // len(dictionary)) + dictionary[: size % len(dictionary)]
    digest = hashlib.sha256(dictionary).digest()
    assert undo_dcz(pack(data, dictionary, digest, level), dictionary) == data
    stream = Stream(dictionary, digest, level, None)
    assert undo_dcz(stream.feed(data) + stream.feed(b""), dictionary) == data
