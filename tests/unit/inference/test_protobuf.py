"""Fields are found where they are, lists are counted without being read, and what is no message says so."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.inference.protobuf import (
    BYTES,
    FIXED32,
    FIXED64,
    VARINT,
    Field,
    WireError,
    fields,
    numbers,
    signed,
)
from tests.support.onnx_bytes import field, varint

LISTS = {7: VARINT, 4: FIXED32, 10: FIXED64}


def found(content: bytes, lists: dict[int, int] | None = None) -> list[Field]:
    return list(fields(content, 0, len(content), LISTS if lists is None else lists))


def test_fields_come_with_their_places() -> None:
    content = field(1, 300) + field(2, "text") + field(3, 1.5) + b"\x41" + bytes(8)
    one, two, three, eight = found(content, {})
    assert (one.number, one.wire, one.value) == (1, VARINT, 300)
    assert (two.number, two.wire, content[two.start : two.end]) == (2, BYTES, b"text")
    assert (three.number, three.wire, content[three.start : three.end]) == (3, FIXED32, struct.pack("<f", 1.5))
    assert (eight.number, eight.wire, eight.end - eight.start) == (8, FIXED64, 8)


def test_a_part_of_the_content_is_read_alone() -> None:
    content = b"\xff" + field(1, 5) + b"\xff"
    assert [part.value for part in fields(content, 1, len(content) - 1, {})] == [5]


@given(st.lists(st.integers(-(1 << 63), (1 << 63) - 1), min_size=1), st.booleans())
def test_a_list_of_whole_numbers_is_one_field(values: list[int], packed: bool) -> None:
    each = [varint(value) for value in values]
    content = field(7, b"".join(each)) if packed else b"".join(varint(7 << 3) + one for one in each)
    (part,) = found(content)
    assert part.elements == len(values)
    assert list(numbers(content, part, VARINT)) == values


@pytest.mark.parametrize(("number", "kind", "form"), [(4, FIXED32, "<f"), (10, FIXED64, "<d")])
@pytest.mark.parametrize("packed", [True, False])
def test_a_list_of_fractions_is_one_field(number: int, kind: int, form: str, packed: bool) -> None:
    values = [0.5, -2.0, 10.0]
    each = [struct.pack(form, value) for value in values]
    content = field(number, b"".join(each)) if packed else b"".join(varint(number << 3 | kind) + one for one in each)
    (part,) = found(content)
    assert part.elements == 3
    assert list(numbers(content, part, kind)) == values


def test_a_list_ends_where_another_field_begins() -> None:
    content = varint(7 << 3) + varint(1) + field(1, 9) + varint(7 << 3) + varint(2)
    assert [(part.number, part.elements) for part in found(content)] == [(7, 1), (1, 1), (7, 1)]


def test_a_long_list_is_counted_across_pieces() -> None:
    content = field(7, varint(300) * 1_500_000)
    (part,) = found(content)
    assert part.elements == 1_500_000


def test_numbers_have_a_sign() -> None:
    assert signed((1 << 64) - 1) == -1
    assert signed(1 << 63) == -(1 << 63)
    assert signed((1 << 63) - 1) == (1 << 63) - 1


@pytest.mark.parametrize(
    "content",
    [
        b"\x08",  # no value
        b"\x80",  # half a tag
        b"\x08" + b"\x80" * 10 + b"\x01",  # eleven bytes
        b"\x08" + b"\xff" * 9 + b"\x7f",  # more than 64 bits
        b"\x00\x00",  # field 0
        b"\x0b",  # a group
        b"\x0e",  # no wire type
        b"\x12\x05text",  # a text that breaks off
        b"\x12" + varint((1 << 64) - 1),  # a length of all there is
        b"\x0d\x00\x00",  # half a float
        b"\x25\x00\x00",  # the same in a list
        b"\x38\x80",  # a whole number that breaks off, in a list
        field(4, b"\x00" * 6),  # one float and a half
    ],
)
def test_what_is_no_message_is_an_error(content: bytes) -> None:
    with pytest.raises(WireError, match=r"^at byte \d+: "):
        found(content)


@given(st.binary(max_size=200))
def test_any_bytes_are_fields_or_the_declared_error(content: bytes) -> None:
    try:
        parts = found(content)
    except WireError:
        return
    assert all(0 <= part.start <= part.end <= len(content) for part in parts)
    for part in parts:
        if part.number in LISTS and part.wire in {BYTES, LISTS[part.number]}:
            try:
                values = list(numbers(content, part, LISTS[part.number]))
            except WireError:
                continue
            assert len(values) == part.elements
