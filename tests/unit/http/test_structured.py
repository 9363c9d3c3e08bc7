"""Structured field values (RFC 9651)."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http.structured import Date, InnerList, Item, Token, parse_dictionary, parse_list, serialize


def values(members: object) -> object:
    """Members without their parameters."""
    if isinstance(members, dict):
        return {key: values(member) for key, member in members.items()}
    if isinstance(members, list):
        return [values(member) for member in members]
    if isinstance(members, InnerList):
        return [item.value for item in members.items]
    assert isinstance(members, Item)
    return members.value


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (b"", {}),
        (b"a", {"a": True}),
        (b"a=?0, b=?1", {"a": False, "b": True}),
        (b"a=1,b=-2 ,\tc=3.50", {"a": 1, "b": -2, "c": 3.5}),
        (b'a="x \\"y\\" \\\\"', {"a": 'x "y" \\'}),
        (b"a=Tok/en:*", {"a": Token("Tok/en:*")}),
        (b"a=:aGk=:", {"a": b"hi"}),
        (b"a=@1659578233", {"a": Date(1659578233)}),
        (b'a=%"f%c3%bc"', {"a": "f\u00fc"}),
        (b'a=("x"  y 1);p', {"a": ["x", Token("y"), 1]}),
        (b"a=()", {"a": []}),
        (b"a=1, b=2, a=3", {"b": 2, "a": 3}),
        (b"  a=1  ", {"a": 1}),
        (b"*a_.-*=999999999999999", {"*a_.-*": 999999999999999}),
    ],
)
def test_dictionaries(text: bytes, expected: object) -> None:
    assert values(parse_dictionary(text)) == expected


@pytest.mark.parametrize(
    "text",
    [
        b"a,",
        b",a",
        b"a b",
        b"A=1",
        b"a=",
        b"a= 1",
        b"a =1",
        b"a=1.",
        b"a=1.2345",
        b"a=1234567890123456",
        b"a=1234567890123.0",
        b"a=--1",
        b"a=?2",
        b'a="x',
        b'a="\\x"',
        b'a="\x7f"',
        b"a=:a?:",
        b"a=:a:",
        b"a=@1.5",
        b'a=%"%C3"',
        b'a=%"%c3"',
        b"a=(1",
        b"a=(1,2)",
        b'a=("x""y")',
        b"a=1;",
        b"a=1;B",
        b"a=&",
        b"a=\xff",
        b"\ta",
        b"a=" + b"1" * 70_000,
    ],
)
def test_what_breaks_the_grammar_is_no_value(text: bytes) -> None:
    assert parse_dictionary(text) is None


def test_lists_and_parameters() -> None:
    assert parse_list(b'"a";x=1;y, (b c;q);z=?0') == [
        Item("a", {"x": 1, "y": True}),
        InnerList([Item(Token("b"), {}), Item(Token("c"), {"q": True})], {"z": False}),
    ]
    assert parse_list(b"") == []
    assert parse_list(b"a, ") is None


def test_a_parameter_given_twice_counts_as_the_last() -> None:
    told = parse_list(b"a;x=1;y=2;x=3")
    assert told is not None
    assert list(told[0].parameters.items()) == [("y", 2), ("x", 3)]


@given(st.binary(max_size=40) | st.text('a=1;"(), ?:%@*.-\\', max_size=40).map(str.encode))
def test_any_bytes_are_a_value_or_none(text: bytes) -> None:
    assert isinstance(parse_dictionary(text), dict | None)
    assert isinstance(parse_list(text), list | None)


@pytest.mark.parametrize(
    ("text", "written"),
    [
        ('"a \\"b\\" \\\\"', '"a \\"b\\" \\\\"'),
        ("?0", "?0"),
        ("?1;a;b=?0;c=?1", "?1;a;b=?0;c"),
        ("-17", "-17"),
        ("1.50", "1.5"),
        ("-0.125", "-0.125"),
        ("2.0", "2.0"),
        (":aGk=:", ":aGk=:"),
        ("tok/en:*", "tok/en:*"),
        ("@-5", "@-5"),
        ('( "a"   1 );p="q"', '("a" 1);p="q"'),
        ("()", "()"),
        ('("a";key="b" "c";sf);created=1', '("a";key="b" "c";sf);created=1'),
    ],
)
def test_a_member_is_written_in_its_one_form(text: str, written: str) -> None:
    members = parse_dictionary(b"k=" + text.encode())
    assert members is not None
    assert serialize(members["k"]) == written
    assert parse_dictionary(b"k=" + written.encode()) == members


@pytest.mark.parametrize("value", ["\u00fc", "a\nb", "\x7f"])
def test_what_no_string_may_hold_is_not_written(value: str) -> None:
    with pytest.raises(ValueError, match="display strings"):
        serialize(Item(value, {}))
