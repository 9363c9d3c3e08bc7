"""Byte ranges: what is asked for, what is ignored, what is refused, and how parts are sent."""

from __future__ import annotations

import email
import email.policy

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http.ranges import (
    MAX_RANGES,
    UNSATISFIABLE,
    content_range,
    multipart_body,
    multipart_type,
    new_boundary,
    parse_content_range,
    parse_range,
    unsatisfied_range,
)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"bytes=0-0", [(0, 0)]),
        (b"bytes=0-4", [(0, 4)]),
        (b"BYTES=0-4", [(0, 4)]),
        (b"bytes=5-", [(5, 9)]),
        (b"bytes=5-999999999999", [(5, 9)]),
        (b"bytes=-3", [(7, 9)]),
        (b"bytes=-30", [(0, 9)]),
        (b"bytes=0-1, 4-5", [(0, 1), (4, 5)]),
        (b"bytes=4-5,\t0-1", [(4, 5), (0, 1)]),
        (b"bytes=,0-1,,", [(0, 1)]),
        (b"bytes=0-1,10-", [(0, 1)]),
        (b"bytes=-0,0-1", [(0, 1)]),
    ],
)
def test_ranges_of_ten_bytes(value: bytes, expected: list[tuple[int, int]]) -> None:
    assert parse_range(value, 10) == expected


@pytest.mark.parametrize("value", [b"bytes=10-", b"bytes=10-20,30-", b"bytes=-0", b"bytes=99-100"])
def test_ranges_that_do_not_exist_are_unsatisfiable(value: bytes) -> None:
    assert parse_range(value, 10) is UNSATISFIABLE


@pytest.mark.parametrize(
    "value",
    [
        b"",
        b"bytes",
        b"bytes=",
        b"bytes=,",
        b"bytes=-",
        b"bytes=5-4",
        b"bytes=20-15",
        b"bytes=0-1,5-4",
        b"bytes=a-b",
        b"bytes=0 - 1",
        b"bytes=+0-1",
        b"bytes=0x0-0x1",
        b"bytes=0-1;2-3",
        b"bytes =0-1",
        b"lines=0-1",
        b"bytes=0-1-2",
        b"bytes=--1",
        b"bytes=\xd9\xa0-1",
        b"bytes=0-" + b"9" * 5000,
    ],
)
def test_invalid_ranges_are_ignored(value: bytes) -> None:
    assert parse_range(value, 10) is None


def test_the_end_of_an_empty_body_is_the_whole_of_it() -> None:
    assert parse_range(b"bytes=-5", 0) is None
    assert parse_range(b"bytes=0-", 0) is UNSATISFIABLE


def test_more_ranges_than_the_bound_are_ignored() -> None:
    at_bound = b",".join(b"%d-%d" % (3 * i, 3 * i) for i in range(MAX_RANGES))
    ranges = parse_range(b"bytes=" + at_bound, 1000)
    assert isinstance(ranges, list)
    assert len(ranges) == MAX_RANGES
    assert parse_range(b"bytes=" + at_bound + b",900-901", 1000) is None
    assert parse_range(b"bytes=0-1" + b"," * 30_000, 1000) is None


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (b"bytes=0-4,3-6", [(0, 6)]),
        (b"bytes=0-,0-,0-,0-", [(0, 9)]),
        (b"bytes=8-9,0-1,1-2", [(0, 2), (8, 9)]),
        (b"bytes=0-1,2-3", [(0, 3)]),
        (b"bytes=0-9,2-3", [(0, 9)]),
    ],
)
def test_overlapping_and_touching_ranges_are_merged(value: bytes, expected: list[tuple[int, int]]) -> None:
    assert parse_range(value, 10) == expected


SPEC = st.tuples(st.none() | st.integers(0, 60), st.none() | st.integers(0, 60))


@given(st.lists(SPEC, min_size=1, max_size=8), st.integers(0, 50))
def test_ranges_lie_inside_and_never_overlap(specs: list[tuple[int | None, int | None]], length: int) -> None:
    texts = [f"{'' if a is None else a}-{'' if b is None else b}" for a, b in specs]
    ranges = parse_range(b"bytes=" + ",".join(texts).encode(), length)
    if isinstance(ranges, list):
        seen: set[int] = set()
        for first, last in ranges:
            assert 0 <= first <= last < length
            positions = set(range(first, last + 1))
            assert not positions & seen
            seen |= positions


def test_content_range_fields() -> None:
    assert content_range((2, 5), 10) == b"bytes 2-5/10"
    assert content_range((2, 5), None) == b"bytes 2-5/*"
    assert unsatisfied_range(10) == b"bytes */10"


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (b"bytes 0-4/10", ((0, 4), 10)),
        (b"Bytes 4-9/10", ((4, 9), 10)),
        (b"bytes 5-10/10", None),
        (b"bytes 5-4/10", None),
        (b"bytes 0-4/*", None),
        (b"bytes */10", None),
        (b"lines 0-4/10", None),
        (b"bytes 0-4/10, bytes 0-4/10", None),
        (b"bytes=0-4/10", None),
        (b"", None),
    ],
)
def test_which_part_a_content_range_tells_of(value: bytes, told: tuple[tuple[int, int], int] | None) -> None:
    assert parse_content_range(value) == told


def test_a_multipart_body_is_read_by_a_mime_parser() -> None:
    boundary = new_boundary()
    wire = multipart_body([((0, 1), b"01"), ((7, 9), b"789")], 10, b"text/plain", boundary)
    head = b"content-type: " + multipart_type(boundary) + b"\r\n\r\n"
    parts = list(email.message_from_bytes(head + wire, policy=email.policy.HTTP).iter_parts())  # type: ignore[attr-defined]
    assert [(p["content-range"], p["content-type"], p.get_payload(decode=True)) for p in parts] == [
        ("bytes 0-1/10", "text/plain", b"01"),
        ("bytes 7-9/10", "text/plain", b"789"),
    ]


def test_a_part_of_unknown_type_has_no_content_type() -> None:
    expected = b"\r\n--B\r\ncontent-range: bytes 1-2/4\r\n\r\n12\r\n--B--\r\n"
    assert multipart_body([((1, 2), b"12")], 4, None, b"B") == expected


def test_boundaries_differ() -> None:
    assert len({new_boundary() for _ in range(100)}) == 100
