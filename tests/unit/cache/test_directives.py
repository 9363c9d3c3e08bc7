"""Cache-Control, parsed."""

from __future__ import annotations

import pytest

from edgeproxy.cache import directives
from edgeproxy.cache.directives import FOREVER, of_request, parse, seconds


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (None, {}),
        (b"", {}),
        (b"no-store", {b"no-store": b""}),
        (b"Max-Age=60 ,\tPUBLIC", {b"max-age": b"60", b"public": b""}),
        (b'private="set-cookie, x-user", max-age=5', {b"private": b"set-cookie, x-user", b"max-age": b"5"}),
        (b"max-age=1, max-age=2", {b"max-age": b"1"}),  # the first counts, RFC 9111 §4.2.1
        (b'max-age="10"', {b"max-age": b"10"}),
        (b"max-age =10", {b"max-age": b" "}),  # no blank may stand there: an argument that is none
        (b"max-age= 10", {b"max-age": b" "}),
        (b"no-store =x", {b"no-store": b" "}),
        (b'ext="a \\"b\\\\"', {b"ext": b'a "b\\'}),
        (b"private=true", {b"private": b""}),  # field names stand in quotes, RFC 9111 §5.2.2.7
        (b'private=""', {b"private": b""}),
        (b'private= "a"', {b"private": b""}),
        (b'private="a", private', {b"private": b""}),  # the stricter counts
        (b'no-cache="a", no-cache="b"', {b"no-cache": b"a,b"}),
        (b",, ,no-cache,", {b"no-cache": b""}),
        (b'ext="max-age=60, no-store"', {b"ext": b"max-age=60, no-store"}),  # quoted, so not directives
    ],
)
def test_directives_and_their_arguments(value: bytes | None, expected: dict[bytes, bytes]) -> None:
    assert dict(parse(value)) == expected


@pytest.mark.parametrize("value", [b"max-age =10", b"max-age= 10", b"max-age=1.5", b"max-age=-1", b"max-age=x"])
def test_seconds_that_are_none_are_over(value: bytes) -> None:
    assert seconds(parse(value), b"max-age") == 0


def test_what_is_parsed_cannot_be_changed() -> None:
    """It is remembered and shared by all who ask for the same value."""
    for value in (b"no-store", None):
        with pytest.raises(TypeError):
            parse(value)[b"x"] = b""  # type: ignore[index]


@pytest.mark.parametrize(
    ("argument", "expected"),
    [
        (b"0", 0),
        (b"60", 60),
        (b"2147483648", FOREVER),
        (b"99999999999999999999", FOREVER),
        (b"9" * 40, 0),
        (b"-1", 0),
        (b"1.5", 0),
        (b"soon", 0),
        (b"", 0),
    ],
)
def test_an_argument_that_is_no_number_of_seconds_is_taken_for_stale(argument: bytes, expected: int) -> None:
    assert seconds({b"max-age": argument}, b"max-age") == expected


def test_a_directive_that_is_not_there_says_nothing() -> None:
    assert seconds(parse(b"max-age=5"), b"s-maxage") is None


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({}, set()),
        ({b"pragma": b"no-cache"}, {b"no-cache"}),
        ({b"pragma": b"x, No-Cache"}, {b"no-cache"}),
        ({b"pragma": b"x-no-cache"}, set()),
        ({b"pragma": b"no-cache", b"cache-control": b"max-age=5"}, {b"max-age"}),
        ({b"pragma": b"no-cache", b"cache-control": b""}, set()),
    ],
)
def test_pragma_speaks_only_where_cache_control_does_not(headers: dict[bytes, bytes], expected: set[bytes]) -> None:
    assert set(of_request(headers)) == expected


def test_long_values_are_parsed_and_not_remembered() -> None:
    remembered = directives._parse.cache_info().currsize
    assert b"max-age" in parse(b"max-age=1, " + b"x" * 30_000)
    assert directives._parse.cache_info().currsize == remembered
