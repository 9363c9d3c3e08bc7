"""QUIC's numbers, by the examples of RFC 9000 §A.1 and back again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http3.varint import MOST, decode, decode_all, encode, size


@pytest.mark.parametrize(
    ("wire", "number"),
    [
        ("c2197c5eff14e88c", 151_288_809_941_952_652),
        ("9d7f3e7d", 494_878_333),
        ("7bbd", 15_293),
        ("25", 37),
    ],
)
def test_the_examples_of_the_rfc(wire: str, number: int) -> None:
    data = bytes.fromhex(wire)
    assert decode(data, 0) == number
    assert encode(number) == data
    assert size(data[0]) == len(data)


def test_a_longer_form_than_needed_is_the_same_number() -> None:
    assert decode(bytes.fromhex("4025"), 0) == 37


@given(st.integers(0, MOST), st.binary(max_size=3))
def test_what_is_written_is_read_wherever_it_stands(number: int, before: bytes) -> None:
    assert decode(before + encode(number) + b"behind", len(before)) == number


@pytest.mark.parametrize("number", [-1, MOST + 1])
def test_what_fits_no_form_is_refused(number: int) -> None:
    with pytest.raises(ValueError, match="a number"):
        encode(number)


@given(st.lists(st.integers(0, MOST), max_size=5))
def test_a_run_of_numbers_is_read_to_its_end(numbers: list[int]) -> None:
    data = b"".join(map(encode, numbers))
    assert decode_all(data) == numbers
    if data:
        assert decode_all(data + b"\xc0") is None
