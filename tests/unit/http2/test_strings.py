"""Strings of field sections, and what is remembered of them. More in test_hpack and test_qpack."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http2 import huffman
from edgeproxy.http2.strings import TEXT_COST, CompressionError, Texts, read_integer, read_string, write_integer


@given(st.integers(0, 1 << 31), st.integers(1, 8))
def test_an_integer_that_is_written_is_read(value: int, bits: int) -> None:
    mask = (1 << bits) - 1
    written = write_integer(0, mask, value)
    assert written[0] == min(value, mask)
    if value >= mask:
        assert read_integer(written, 1, mask) == (value, len(written))


@pytest.mark.parametrize("texts", [None, Texts(1_000, 100)], ids=["alone", "remembered"])
def test_a_string_is_as_it_stands_or_coded(texts: Texts | None) -> None:
    coded = huffman.encode(b"www.example.com")
    assert read_string(b"\x03abc", 0, texts) == (b"abc", 4)
    for _ in range(2):
        assert read_string(bytes((0x80 | len(coded),)) + coded, 0, texts) == (b"www.example.com", 1 + len(coded))
    with pytest.raises(CompressionError):
        read_string(b"\x83\0\0\0", 0, texts)


def test_what_comes_again_is_the_same_object() -> None:
    texts = Texts(1_000, 100)
    coded = huffman.encode(b"some value")
    assert texts.read(coded) is texts.read(bytes(bytearray(coded)))


def test_what_is_remembered_has_a_bound_and_long_strings_are_not() -> None:
    texts = Texts(10 * (TEXT_COST + 20), 20)
    for number in range(1_000):
        assert texts.read(huffman.encode(b"value %d" % number)) == b"value %d" % number
        assert 0 < sum(len(coded) + TEXT_COST for coded in texts._known) == texts._used <= texts._room
    long = huffman.encode(b"w" * 40)
    assert texts.read(long) == b"w" * 40
    assert long not in texts._known
    assert texts.read(huffman.encode(b"value 999")) is texts.read(huffman.encode(b"value 999"))


def test_hostile_bytes_are_not_remembered() -> None:
    texts = Texts(1_000, 100)
    with pytest.raises(CompressionError):
        texts.read(b"\0\0\0")
    assert repr(texts) == "<Texts 0, 0 of 1000 bytes>"
