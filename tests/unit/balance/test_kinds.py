"""Which requests are alike, and what kind they are of."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.balance.kinds import SHAPES, Kinds, shape_key
from edgeproxy.balance.pace import KINDS


@pytest.mark.parametrize(
    ("target", "key"),
    [
        (b"/", b"GET / ."),
        (b"/about", b"GET / ."),
        (b"/logo.png", b"GET / .png"),
        (b"/assets/app.3f2a.js?v=7", b"GET /assets .js"),
        (b"/assets/", b"GET / ."),
        (b"/shop17/cart", b"GET /shop ."),
        (b"/api/search?q=a/b.c", b"GET /api ."),
        (b"/api/v1.2/items", b"GET /api ."),
        (b"/x/" + b"e" * 50 + b"." + b"a" * 50, b"GET /x ."),
        (b"/x/a.b%20c", b"GET /x ."),
        (b"*", b"GET / ."),
        (b"", b"GET / ."),
    ],
)
def test_requests_are_alike_by_first_segment_and_ending(target: bytes, key: bytes) -> None:
    assert shape_key(b"GET", target) == key


@given(st.binary(max_size=64), st.binary(max_size=4_000))
def test_a_key_is_short_whatever_is_asked_for(method: bytes, target: bytes) -> None:
    assert len(shape_key(method, target)) <= 8 + 2 + 24 + 2 + 8


def test_kinds_follow_what_requests_take() -> None:
    kinds = Kinds()
    for target, seconds in ((b"/a/x", 0.002), (b"/b/x", 0.03), (b"/c/x", 0.4), (b"/d/x", 60.0)):
        shape = kinds.of(b"GET", target)
        for _ in range(20):
            kinds.took(shape, seconds)
    found = [kinds.of(b"GET", target).kind for target in (b"/a/y", b"/b/y", b"/c/y", b"/d/y")]
    assert found == sorted(set(found))
    assert (found[0], found[-1]) == (0, KINDS - 1)


def test_what_is_new_is_taken_for_what_most_are() -> None:
    kinds = Kinds()
    shape = kinds.of(b"GET", b"/a/x")
    for _ in range(50):
        kinds.took(shape, 0.4)
    assert kinds.of(b"GET", b"/new/x").kind == shape.kind > 0


def test_a_kind_does_not_flutter_at_the_border() -> None:
    kinds = Kinds()
    shape = kinds.of(b"GET", b"/a/x")
    seen = []
    for i in range(400):
        kinds.took(shape, 0.01 * (1.2 if i % 2 else 1 / 1.2))
        seen.append(shape.kind)
    assert len(set(seen[1:])) == 1


def test_one_slow_answer_changes_no_kind() -> None:
    kinds = Kinds()
    shape = kinds.of(b"GET", b"/a/x")
    for _ in range(50):
        kinds.took(shape, 0.016)
    before = shape.kind
    kinds.took(shape, 0.5)
    assert shape.kind == before


def test_the_table_has_a_bound_and_keeps_what_is_in_use() -> None:
    kinds = Kinds()
    used = kinds.of(b"GET", b"/used/x")
    for _ in range(3):
        kinds.took(used, 0.3)
    for i in range(5 * SHAPES):
        name = "".join(chr(97 + i // 26**place % 26) for place in range(4))
        kinds.took(kinds.of(b"GET", f"/{name}/x".encode()), 0.001)
        assert len(kinds) <= SHAPES
        if i % 100 == 0:
            kinds.took(used, 0.3)
    assert kinds.of(b"GET", b"/used/x") is used
