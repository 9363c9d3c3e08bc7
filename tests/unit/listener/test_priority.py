"""Whose turn it is to write (RFC 9218)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.listener.priority import Turns, parse


@pytest.mark.parametrize(
    ("value", "meaning"),
    [
        (None, (3, False)),
        (b"", (3, False)),
        (b"u=0", (0, False)),
        (b"u=7, i", (7, True)),
        (b"i=?0, u=1", (1, False)),
        (b"u=8", (3, False)),
        (b"u=-1, i", (3, True)),
        (b"u=1.0, i=1", (3, False)),
        (b"u=(1 2), i", (3, True)),
        (b"u=1;a, x=5", (1, False)),
        (b"u=1,, i", (3, False)),
        (b"\xff", (3, False)),
    ],
)
def test_what_a_field_says(value: bytes | None, meaning: tuple[int, bool]) -> None:
    assert parse(value) == meaning
    assert parse(value) == meaning


@given(st.binary(max_size=40))
def test_no_field_is_an_error(value: bytes) -> None:
    urgency, _ = parse(value)
    assert 0 <= urgency < 8


def test_the_most_urgent_write_first_and_those_alike_in_turns() -> None:
    turns = Turns()
    for stream, urgency in ((1, 5), (3, 3), (5, 3), (7, 1)):
        turns.add(stream, urgency)
    assert turns.next() == 7
    turns.discard(7)
    assert [turns.next() for _ in range(4)] == [3, 5, 3, 5]
    turns.discard(3)
    turns.discard(5)
    assert [turns.next(), turns.next()] == [1, 1]
    turns.discard(1)
    assert turns.next() == 0
    assert len(turns) == 0


def test_a_stream_that_is_there_keeps_its_place_and_one_with_another_urgency_gets_a_new_one() -> None:
    turns = Turns()
    for stream in (1, 3, 5):
        turns.add(stream, 3)
    turns.add(1, 3)
    assert [turns.next() for _ in range(3)] == [1, 3, 5]
    turns.add(5, 0)
    assert turns.next() == 5
    turns.discard(5)
    assert [turns.next() for _ in range(2)] == [1, 3]
    turns.discard(99)
