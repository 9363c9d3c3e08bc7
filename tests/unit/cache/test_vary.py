"""Variants: which request fields select, and which of their values mean the same."""

from __future__ import annotations

import pytest

from edgeproxy.cache.vary import names, selector


@pytest.mark.parametrize(
    ("vary", "expected"),
    [
        (None, ()),
        (b"", ()),
        (b"Accept-Encoding", (b"accept-encoding",)),
        (b"X-B , accept, x-b,", (b"accept", b"x-b")),
    ],
)
def test_the_names_are_lower_case_in_one_order_and_once_each(vary: bytes | None, expected: tuple[bytes, ...]) -> None:
    assert names(vary) == expected


def test_without_names_there_is_one_variant() -> None:
    assert selector(())({b"accept": b"a"}) == selector(())({})


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ({b"x": b"a,b"}, {b"x": b"a ,\tb"}, True),
        ({b"x": b"a"}, {b"x": b"b"}, False),
        ({b"x": b"a"}, {b"x": b"A"}, False),  # what case means is the field's to say
        ({b"x": b"a,b"}, {b"x": b"b,a"}, False),
        ({}, {b"x": b""}, False),  # RFC 9111 §4.1: absent matches absent only
        ({}, {b"x": b"-"}, False),
        ({b"y": b"1"}, {b"y": b"2"}, True),
    ],
)
def test_values_that_mean_the_same_select_the_same_variant(
    one: dict[bytes, bytes], other: dict[bytes, bytes], same: bool
) -> None:
    select = selector((b"x",))
    assert (select(one) == select(other)) is same


@pytest.mark.parametrize("name", [b"accept", b"accept-language", b"accept-charset"])
def test_weighted_lists_are_compared_by_what_they_prefer(name: bytes) -> None:
    select = selector((name,))
    assert select({name: b"en, de"}) == select({name: b"De;q=1.0 ,EN"})
    assert select({name: b"en, de;q=0.5"}) != select({name: b"de, en;q=0.5"})
    assert select({name: b""}) != select({})


def test_what_sets_cookies_varies_by_them() -> None:
    assert names(b"Accept", cookies=True) == (b"accept", b"cookie")
    assert names(None, cookies=True) == (b"cookie",)


def test_a_value_cannot_pass_for_that_of_another_field() -> None:
    select = selector((b"x", b"y"))
    assert len({select(fields) for fields in ({b"x": b"1"}, {b"y": b"1"}, {b"x": b"1", b"y": b""}, {})}) == 4


@pytest.mark.parametrize("fields", [(b"accept-encoding",), (b"accept-encoding", b"x")])
def test_encodings_are_compared_by_what_the_client_accepts(fields: tuple[bytes, ...]) -> None:
    select = selector(fields)
    assert select({b"accept-encoding": b"gzip, br"}) == select({b"accept-encoding": b"br;q=1.0,GZIP"})
    assert select({b"accept-encoding": b"gzip, br"}) != select({b"accept-encoding": b"gzip"})
    assert select({b"accept-encoding": b""}) == select({})
