"""Tags in the fields of answers: both notations, bounded."""

from __future__ import annotations

import pytest

from edgeproxy.cache.tags import LONGEST, MOST, of, weight, without
from edgeproxy.http.headers import Headers


@pytest.mark.parametrize(
    ("headers", "tags"),
    [
        ({}, ()),
        ({b"surrogate-key": b""}, ()),
        ({b"surrogate-key": b" a  b\tc "}, (b"a", b"b", b"c")),
        ({b"surrogate-key": b"a b, c"}, (b"a", b"b", b"c")),  # two lines of it
        ({b"cache-tag": b"a,b , c,"}, (b"a", b"b", b"c")),
        ({b"surrogate-key": b"a b", b"cache-tag": b"b,A"}, (b"a", b"b", b"A")),
        ({b"cache-tag": b'"a,b"'}, (b'"a', b'b"')),  # no quoting in either notation
    ],
)
def test_tags_of_an_answer(headers: Headers, tags: tuple[bytes, ...]) -> None:
    assert of(headers) == tags


def test_tags_past_the_bounds_are_none() -> None:
    assert len(of({b"surrogate-key": b" ".join(b"%d" % n for n in range(MOST))}) or ()) == MOST
    assert of({b"surrogate-key": b" ".join(b"%d" % n for n in range(MOST + 1))}) is None
    assert of({b"cache-tag": b"x" * LONGEST}) == (b"x" * LONGEST,)
    assert of({b"cache-tag": b"x" * (LONGEST + 1)}) is None


def test_fields_without_tags() -> None:
    assert without({b"surrogate-key": b"a", b"etag": b'"1"', b"cache-tag": b"b"}) == {b"etag": b'"1"'}


def test_tags_weigh_more_than_their_bytes() -> None:
    assert weight(()) == 0
    assert weight((b"a" * 50, b"b")) > 51
