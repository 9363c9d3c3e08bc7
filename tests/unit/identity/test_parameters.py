"""Parameters taken out of a query."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.identity.parameters import Parameters, ask_for, decoded
from tests.support.stages import exchange

ONE = Parameters(("api_key",))


@pytest.mark.parametrize(
    ("query", "found", "rest"),
    [
        (b"", [], b""),
        (b"a=1", [], b"a=1"),
        (b"api_key=k", [b"k"], b""),
        (b"api_key=k&a=1", [b"k"], b"a=1"),
        (b"a=1&api_key=k", [b"k"], b"a=1"),
        (b"a=1&api_key=k&b=2", [b"k"], b"a=1&b=2"),
        (b"api_key=k&api_key=l&b=2", [b"k", b"l"], b"b=2"),
        (b"a&api_key&b", [b""], b"a&b"),
        (b"a=1&api_key=&b", [b""], b"a=1&b"),
        (b"api_key=a=b", [b"a=b"], b""),
        (b"api_key=a%26b+c", [b"a&b c"], b""),
        (b"%61pi%5fkey=k&a", [b"k"], b"a"),
        (b"%61pi%5Fkey=k&a", [b"k"], b"a"),
        (b"&a=1&&api_key=k", [b"k"], b"&a=1&"),
        (b"xapi_key=k&api_keys=k&api-key=k&API_KEY=k", [], b"xapi_key=k&api_keys=k&api-key=k&API_KEY=k"),
        (b"a=api_key=k", [], b"a=api_key=k"),
        (b"a=1;api_key=k", [], b"a=1;api_key=k"),
        (b"a=%26api_key=k", [], b"a=%26api_key=k"),
    ],
)
def test_a_parameter_is_found_however_it_is_written_and_the_rest_stays(
    query: bytes, found: list[bytes], rest: bytes
) -> None:
    assert ONE.split(query) == ([(b"api_key", value) for value in found], rest)


def test_several_names_are_told_apart() -> None:
    found, rest = Parameters(("sig", "signature", "exp")).split(b"signature=s&a=1&exp=9&sig=t")
    assert (found, rest) == ([(b"signature", b"s"), (b"exp", b"9"), (b"sig", b"t")], b"a=1")


def test_a_star_stands_for_any_rest_of_a_name() -> None:
    found, rest = Parameters(("utm_*", "ref")).split(b"utm_source=a&utm=b&utm_=c&refs=d&ref=e&x=utm_y")
    assert (found, rest) == ([(b"utm_source", b"a"), (b"utm_", b"c"), (b"ref", b"e")], b"utm=b&refs=d&x=utm_y")


def test_names_may_hold_what_has_a_meaning_in_expressions() -> None:
    assert Parameters(("a.b",)).split(b"axb=1&a.b=2&a%2Eb=3") == ([(b"a.b", b"2"), (b"a.b", b"3")], b"axb=1")


@given(st.binary(max_size=60))
def test_any_query_is_taken_apart_once(query: bytes) -> None:
    found, rest = ONE.split(query)
    assert ONE.split(rest) == ([], rest)
    assert found or rest == query


@given(st.lists(st.tuples(st.sampled_from(["api_key", "a", "api", "key"]), st.text(max_size=5)), max_size=6))
def test_of_a_made_query_exactly_the_others_are_left(pairs: list[tuple[str, str]]) -> None:
    found, rest = ONE.split("&".join(f"{name}={quote(value)}" for name, value in pairs).encode())
    assert [value.decode() for _, value in found] == [value for name, value in pairs if name == "api_key"]
    assert rest.decode() == "&".join(f"{name}={quote(value)}" for name, value in pairs if name != "api_key")


def test_a_long_query_is_looked_through_in_linear_time() -> None:
    assert ONE.split(b"&api_ke" * 40_000)[0] == []
    assert len(ONE.split(b"api_key&" * 40_000)[0]) == 40_000


@pytest.mark.parametrize(
    ("target", "query", "asks"),
    [
        (b"/a?k=1", b"", b"/a"),
        (b"/a?k=1&b", b"b", b"/a?b"),
        (b"/a?", b"", b"/a"),
        (b"/a", b"", b"/a"),
        (b"/a?b?c", b"b?c", b"/a?b?c"),
    ],
)
def test_target_and_query_agree(target: bytes, query: bytes, asks: bytes) -> None:
    request = exchange(target).request
    ask_for(request, query)
    assert (request.target, request.query) == (asks, query)


def test_values_are_decoded_as_forms_are() -> None:
    assert [decoded(value) for value in (b"a+b", b"%2B", b"%", b"%zz", b"%C3%A9")] == [
        b"a b",
        b"+",
        b"%",
        b"%zz",
        "é".encode(),
    ]
