"""Integers of HPACK and QPACK: RFC 7541's examples, there and back, and what is none."""

from __future__ import annotations

import hpack.hpack as oracle
import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http2.integers import CONTINUED_MOST, MOST, decode, encode

BITS = st.integers(1, 8)


def read(block: bytes, bits: int) -> tuple[int, int]:
    mask = (1 << bits) - 1
    value = block[0] & mask
    return (value, 1) if value < mask else decode(block, 1, value)


@pytest.mark.parametrize(
    ("value", "bits", "block"),
    [
        (10, 5, "0a"),
        (1337, 5, "1f9a0a"),
        (42, 8, "2a"),
        (31, 5, "1f00"),
        (254, 7, "7f7f"),
        (255, 7, "7f8001"),
    ],
)
def test_the_examples_of_the_rfc(value: int, bits: int, block: str) -> None:
    """RFC 7541 §C.1, and those where an integer gets a byte longer."""
    assert encode(0, (1 << bits) - 1, value).hex() == block
    assert read(bytes.fromhex(block), bits) == (value, len(block) // 2)


@given(st.integers(0, MOST), BITS, st.binary(max_size=3))
def test_what_is_written_is_read_and_nothing_behind_it(value: int, bits: int, behind: bytes) -> None:
    block = encode(0, (1 << bits) - 1, value)
    assert block == bytes(oracle.encode_integer(value, bits))
    assert read(block + behind, bits) == (value, len(block))


def test_the_other_bits_of_the_first_byte_stay() -> None:
    assert encode(0x40, 0x3F, 5) == b"\x45"
    assert encode(0x40, 0x3F, 63) == b"\x7f\x00"


@given(st.integers(256, MOST), st.data())
def test_an_integer_that_breaks_off_is_none(value: int, data: st.DataObject) -> None:
    block = encode(0, 0x7F, value)
    with pytest.raises(ValueError, match="without its end"):
        read(block[: data.draw(st.integers(1, len(block) - 1))], 7)


@pytest.mark.parametrize("block", [encode(0, 0x7F, MOST + 1), b"\x7f" + b"\x80" * CONTINUED_MOST + b"\0"])
def test_what_is_too_large_is_refused_and_so_is_what_goes_on_for_too_long(block: bytes) -> None:
    with pytest.raises(ValueError, match="too large"):
        read(block, 7)
