"""The Huffman code of HPACK, compared with the `hpack` package's."""

from __future__ import annotations

import pytest
from hpack.exceptions import HPACKDecodingError
from hpack.huffman import HuffmanEncoder
from hpack.huffman_constants import REQUEST_CODES, REQUEST_CODES_LENGTH
from hpack.huffman_table import decode_huffman
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http2 import huffman

ORACLE = HuffmanEncoder(REQUEST_CODES, REQUEST_CODES_LENGTH)
# Anything, and what is nearly a string: ones, which padding and the end of string are made of.
CODED = st.one_of(
    st.binary(max_size=40),
    st.binary(max_size=6).map(ORACLE.encode),
    st.binary(max_size=3).map(lambda t: t + b"\xff" * 4),
)


def oracle(coded: bytes) -> bytes | None:
    try:
        return decode_huffman(coded)
    except HPACKDecodingError:
        return None


@given(st.binary(max_size=200))
def test_what_is_coded_is_what_others_code_and_reads_back(text: bytes) -> None:
    coded = huffman.encode(text)
    assert coded == ORACLE.encode(text)
    assert huffman.decode(coded) == text


def test_every_byte_after_every_other_reads_back() -> None:
    text = bytes(byte for first in range(256) for second in range(256) for byte in (first, second))
    assert huffman.decode(huffman.encode(text)) == text


@given(CODED)
def test_any_bytes_are_read_or_refused_as_others_do(coded: bytes) -> None:
    assert huffman.decode(coded) == oracle(coded)


@pytest.mark.parametrize(
    ("coded", "text"),
    [
        ("f1e3c2e5f23a6ba0ab90f4ff", b"www.example.com"),  # RFC 7541 §C.4.1
        ("a8eb10649cbf", b"no-cache"),
        ("49509f", b"test"),
        ("49509fff", None),  # padding of more than 7 bits
        ("495090", None),  # padding of zeros
        ("4951fffffffa7f", None),  # the end of string
        ("ff", None),  # padding alone
        ("", b""),
    ],
)
def test_strings_end_in_at_most_seven_ones(coded: str, text: bytes | None) -> None:
    assert huffman.decode(bytes.fromhex(coded)) == text


def test_a_string_is_at_most_eight_fifths_of_its_code() -> None:
    text = huffman.decode(b"\x00" * 1000)
    assert text == b"0" * 1600
