"""Parts of a body."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.cache.parts import MOST, Parts, strong

BODY = bytes(range(64))
part = st.tuples(st.integers(0, 63), st.integers(0, 63)).map(lambda pair: (min(pair), max(pair)))


@given(st.lists(part, max_size=12), part)
def test_parts_hold_what_came_and_no_byte_more(came: list[tuple[int, int]], asked: tuple[int, int]) -> None:
    parts, here = Parts(len(BODY)), set[int]()
    for first, last in came:
        parts.add(first, BODY[first : last + 1])
        here.update(range(first, last + 1))
    first, last = asked
    complete = here.issuperset(range(first, last + 1))
    assert parts.get(asked) == (BODY[first : last + 1] if complete else None)
    assert parts.cover({b"range": b"bytes=%d-%d" % asked}) is complete
    assert parts.size == len(here)
    assert parts.whole() == (BODY if len(here) == len(BODY) else None)
    beginning = next((at for at in range(len(BODY)) if at not in here), len(BODY))
    assert parts.beginning() == BODY[:beginning]


def test_what_is_here_already_stays() -> None:
    parts = Parts(10)
    parts.add(2, b"cd")
    parts.add(0, b"XXXXXX")
    assert parts.get((0, 5)) == b"XXcdXX"


def test_what_does_not_exist_can_be_told_and_what_is_no_range_cannot() -> None:
    parts = Parts(10)
    parts.add(0, b"01234")
    assert parts.cover({b"range": b"bytes=10-"})
    assert parts.cover({b"range": b"bytes=0-1,3-4"})
    assert not parts.cover({b"range": b"bytes=0-1,4-5"})
    assert not parts.cover({b"range": b"lines=0-1"})
    assert not parts.cover({})


def test_too_many_pieces_make_room_for_a_new_one() -> None:
    parts = Parts(10 * MOST)
    for number in range(MOST):
        parts.add(2 * number, b"x")
    assert (len(parts.pieces), parts.size) == (MOST, MOST)
    parts.add(5 * MOST, b"yy")
    assert parts.pieces == [(5 * MOST, b"yy")]


def test_only_a_strong_tag_joins_parts() -> None:
    assert strong(b'"1"') == b'"1"'
    assert strong(b'W/"1"') is None
    assert strong(None) is None
