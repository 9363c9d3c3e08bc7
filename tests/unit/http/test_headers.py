"""Header fields as a dict."""

from __future__ import annotations

import pytest

from edgeproxy.http import headers


def test_repeated_lines_become_one_field() -> None:
    pairs = [(b"Accept", b"a"), (b"accept", b"b"), (b"Cookie", b"x=1"), (b"cookie", b"y=2")]
    assert headers.from_pairs(pairs) == {b"accept": b"a, b", b"cookie": b"x=1; y=2"}


def test_set_cookie_lines_stay_lines() -> None:
    fields = headers.from_pairs([(b"Set-Cookie", b"a=1; Expires=Wed, 1"), (b"Set-Cookie", b"b=2"), (b"X", b"y")])
    assert headers.serialize(fields) == b"set-cookie: a=1; Expires=Wed, 1\r\nset-cookie: b=2\r\nx: y\r\n"


@pytest.mark.parametrize(
    ("value", "members"),
    [
        (b"a, b ,,c", [b"a", b"b", b"c"]),
        (b'a="x, y", b', [b'a="x, y"', b"b"]),
        (b'a="x\\", y", b', [b'a="x\\", y"', b"b"]),
        (b"", []),
        (b" , ", []),
    ],
)
def test_lists_are_parsed_not_split(value: bytes, members: list[bytes]) -> None:
    assert headers.members(value) == members


def test_hop_by_hop_fields_and_those_connection_names_go() -> None:
    fields = {b"connection": b"close, X-Mine", b"x-mine": b"1", b"te": b"trailers", b"accept": b"a"}
    assert headers.without_hop_by_hop(fields) == {b"accept": b"a"}


def test_what_we_alone_may_say_goes_with_underscores_too() -> None:
    fields = {b"x-user": b"a", b"x_user": b"b", b"x_other": b"c", b"y": b"d"}
    headers.disown(fields, frozenset((b"x-user", b"x-absent")))
    assert fields == {b"x_other": b"c", b"y": b"d"}
