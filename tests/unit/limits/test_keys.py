"""What is counted by."""

from __future__ import annotations

import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.limits.keys import KNOWN, LONGEST, compile_key, parse_key
from edgeproxy.pipeline.exchange import Exchange, Peer, Place, TLSInfo
from tests.support.stages import exchange

KEYED = [
    ("client.ip", {"client": "192.0.2.7"}, b"192.0.2.7"),
    ("client.ip", {"client": "2001:db8::7"}, b"2001:db8::7"),
    ("client.net", {"client": "192.0.2.7"}, b"192.0.2.0/24"),
    ("client.net", {"client": "2001:db8:1:2:3::7"}, b"2001:db8:1:2::/64"),
    ("client.net", {"client": ""}, b""),
    ("host", {"authority": b"a.example:81"}, b"a.example"),
    ("path", {"target": b"/a?b"}, b"/a"),
    ("route", {}, b"site"),
    ("method", {"method": b"POST"}, b"POST"),
    ("header:X-Api-Key", {"headers": {b"x-api-key": b"k1"}}, b"k1"),
    ("header:x-api-key", {}, b""),
    ("cookie:session", {"headers": {b"cookie": b"xsession=no; session=s1"}}, b"s1"),
    ("cookie:session", {"headers": {b"cookie": b"other=1"}}, b""),
    ("cookie:session", {}, b""),
    ("query:key", {"target": b"/?monkey=no&key=k1&key=k2"}, b"k1"),
    ("query:key", {"target": b"/?k%65y=%6B1"}, b"k1"),
    ("query:key", {"target": b"/?%4bey=no&%6Bey=a+b%2B"}, b"a b+"),
    ("query:key", {"target": b"/?key"}, b""),
    ("query:key", {"target": b"/?key=%zz%"}, b"%zz%"),
    ("query:a.b", {"target": b"/?axb=no&a.b=1"}, b"1"),
    ("query:key", {"target": b"/"}, b""),
    ("claim:sub", {}, b""),
    ("client.ip + path", {"target": b"/a"}, b"192.0.2.7\0/a"),
]


@pytest.mark.parametrize(("expression", "given", "key"), KEYED)
def test_keys_of_a_request(expression: str, given: dict[str, Any], key: bytes) -> None:
    assert compile_key(parse_key(expression), 24, 64)(exchange(**given)) == key


def known_exchange() -> Exchange:
    x = exchange()
    x.place = Place("DE", asn=64500)
    x.peer = Peer("192.0.2.7", 1, "", "", TLSInfo("TLSv1.3", "x", "a.example", None, "t13d1516h2_8daaf6152771"))
    x.shape, x.identity, x.bot, x.agent = "9f2c", "jörg", "tool", "examplebot"
    x.claims = {
        "sub": "alice",
        "id": 7,
        "org": {"id": {"name": "acme"}},
        "a.b": "whole",
        "a": {"b": "reached"},
        "half": "\ud800",
        "https://example.com/tenant": "t1",
    }
    return x


@pytest.mark.parametrize(
    ("expression", "key"),
    [
        ("country", b"DE"),
        ("asn", b"64500"),
        ("ja4", b"t13d1516h2_8daaf6152771"),
        ("shape", b"9f2c"),
        ("identity", "jörg".encode()),
        ("bot", b"tool"),
        ("agent", b"examplebot"),
        ("claim:sub+claim:id", b"alice\0007"),
        ("claim:org.id.name", b"acme"),
        ("claim:org.id.name.more", b""),
        ("claim:a.b", b"whole"),
        ("claim:half", b"\xed\xa0\x80"),
        ("claim:https://example.com/tenant", b"t1"),
    ],
)
def test_keys_of_what_stages_found_out(expression: str, key: bytes) -> None:
    assert compile_key(parse_key(expression), 32, 64)(known_exchange()) == key


def test_what_nobody_found_out_is_one_key() -> None:
    expression = "+".join(("country", "asn", "ja4", "shape", "identity", "bot", "agent"))
    assert compile_key(expression, 32, 64)(exchange()) == b"\x000" + b"\0" * 5


@pytest.mark.parametrize("expression", ["header:x-api-key", "header:x-api-key+path"])
def test_long_keys_are_kept_as_short_hashes_that_still_differ(expression: str) -> None:
    key = compile_key(expression, 32, 64)
    one, other = (key(exchange(headers={b"x-api-key": b"k" * 8000 + end})) for end in (b"1", b"2"))
    assert one != other
    assert len(one) == len(other) == 16


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("client", r"'client' is not something to count by; did you mean client.ip\?"),
        ("clint.net", r"did you mean client.net\?"),
        ("haeder:x", r"did you mean header:NAME\?"),
        ("contry+path", r"'contry' is not something to count by; did you mean country\?"),
        ("", "'' is not something to count by; known are client.net, client.ip"),
        ("client.ip+", "known are"),
        ("header:", "write header:NAME"),
        ("cookie:a b", "write cookie:NAME"),
        ("+".join(["path"] * 9), "8 at most"),
    ],
)
def test_what_cannot_be_counted_by_is_said_with_the_nearest_that_can(text: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_key(text)


EVERYTHING = [name.replace("NAME", "k") for name in KNOWN]
ALPHABET = [b"k", b"=", b"&", b";", b"%", b"%6b", b"%6B", b"%zz", b"%00", b"+", b'"', b",", b" ", b"\xff", b"\t", b"kk"]


def test_ten_thousand_generated_requests_each_have_a_key_of_bounded_length() -> None:
    draw = random.Random(4)
    keys = [compile_key(parse_key(name), 24, 48) for name in [*EVERYTHING, "query:k+cookie:k+header:k+path"]]
    seen = set()
    for _ in range(10_000):
        text = [b"".join(draw.choices(ALPHABET, k=draw.randrange(60))) for _ in range(4)]
        x = exchange(
            b"/" + text[0] + b"?" + text[1], {b"cookie": text[2], b"k": text[3]}, client=text[0].decode("latin-1")
        )
        for key in keys:
            found = key(x)
            assert isinstance(found, bytes)
            seen.add(found)
    short = {found for found in seen if len(found) <= LONGEST}
    assert len(short) > 10_000


@given(st.text(max_size=60))
def test_any_text_is_a_key_or_said_to_be_none(text: str) -> None:
    try:
        parse_key(text)
    except ValueError:
        return
    compile_key(text, 32, 64)(exchange())
