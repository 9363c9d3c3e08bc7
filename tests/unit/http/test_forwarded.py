"""Forwarded and X-Forwarded-For, read from the right."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http import forwarded
from edgeproxy.http.forwarded import (
    Hop,
    Origin,
    address,
    forwarded_element,
    hops_forwarded,
    hops_x_forwarded_for,
    walk,
)

TRUSTED = {"10.0.0.1", "10.0.0.2", "2001:db8:ffff::1"}


@pytest.mark.parametrize(
    ("node", "expected"),
    [
        (b"192.0.2.43", "192.0.2.43"),
        (b"192.0.2.43:47011", "192.0.2.43"),
        (b"192.0.2.43:_port", "192.0.2.43"),
        (b"[2001:db8:cafe::17]", "2001:db8:cafe::17"),
        (b"[2001:db8:cafe::17]:4711", "2001:db8:cafe::17"),
        (b"2001:DB8:cafe::17", "2001:db8:cafe::17"),
        (b"[::ffff:192.0.2.43]", "192.0.2.43"),
        (b"unknown", None),
        (b"_hidden", None),
        (b"", None),
        (b"192.0.2.43:", None),
        (b"192.0.2.43:123456", None),
        (b"192.0.2.43:80x", None),
        (b"[192.0.2.43]", None),
        (b"[2001:db8::1", None),
        (b"[2001:db8::1]80", None),
        (b"[2001:db8::1]:", None),
        (b"192.0.2.043", None),
        (b"example.com", None),
        (b"\xff", None),
    ],
)
def test_the_address_in_a_node_identifier(node: bytes, expected: str | None) -> None:
    assert address(node) == expected


@pytest.mark.parametrize(
    ("field", "hops"),
    [
        (b"for=192.0.2.60;proto=http;by=203.0.113.43", [Hop(b"192.0.2.60", b"http")]),
        (b'For="[2001:db8:cafe::17]:4711"', [Hop(b"[2001:db8:cafe::17]:4711")]),
        (b"for=192.0.2.43, for=198.51.100.17", [Hop(b"198.51.100.17"), Hop(b"192.0.2.43")]),
        (b'for=_gazonk;host="a, b\\"c"', [Hop(b"_gazonk", b"", b'a, b"c')]),
        (b"for=192.0.2.43,,for=192.0.2.44;", [Hop(b"192.0.2.44"), Hop(b"192.0.2.43")]),
        (b"proto=https", [Hop(b"", b"https")]),
        (b"for=192.0.2.1;for=192.0.2.2", [None]),
        (b"for 192.0.2.1", [None]),
        (b"for=2001:db8::1", [None]),
        (b"nonsense, for=192.0.2.1", [Hop(b"192.0.2.1"), None]),
        (b"", []),
    ],
)
def test_the_elements_of_forwarded_come_nearest_first(field: bytes, hops: list[Hop | None]) -> None:
    assert list(hops_forwarded(field)) == hops


@given(st.binary(max_size=40))
def test_nothing_on_the_left_hides_what_a_trusted_proxy_wrote_on_the_right(forged: bytes) -> None:
    field = forged + b', for="198.51.100.9:1234";proto=https'
    assert next(hops_forwarded(field)) == Hop(b"198.51.100.9:1234", b"https")


@given(st.text('\t !#"\\,;=abcfor0123456789.:', max_size=30))
def test_no_quoted_text_passes_for_elements_of_its_own(text: str) -> None:
    written = forwarded_element("198.51.100.9", b"https", text.encode() or b"x")
    hops = list(hops_forwarded(b"for=203.0.113.5, " + written))
    assert hops == [Hop(b"198.51.100.9", b"https", text.encode() or b"x"), Hop(b"203.0.113.5")]


def test_a_field_full_of_commas_is_looked_at_from_its_end_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    looked_at: list[int] = []
    element = forwarded._ELEMENT

    class Counting:
        def fullmatch(self, piece: bytes) -> object:
            looked_at.append(len(piece))
            return element.fullmatch(piece)

    monkeypatch.setattr(forwarded, "_ELEMENT", Counting())
    assert list(hops_forwarded(b'for="' + b",x" * 30_000)) == [None]
    assert (len(looked_at), sum(looked_at)) == (9, 81)  # x, then x,x and so on: 1 + 3 + … + 17 bytes
    looked_at.clear()
    assert len(list(hops_forwarded(b"for=192.0.2.1," * 5_000))) == 31  # the 32nd is the empty one behind the comma
    assert len(looked_at) == 32


@pytest.mark.parametrize(
    ("chain", "client"),
    [
        (b"198.51.100.9", "198.51.100.9"),
        (b"203.0.113.5, 198.51.100.9", "198.51.100.9"),
        (b"203.0.113.5, 198.51.100.9, 10.0.0.2", "198.51.100.9"),
        (b"203.0.113.5,\t198.51.100.9:1234 , 10.0.0.2", "198.51.100.9"),
        (b"10.0.0.2", "10.0.0.2"),
        (b"10.0.0.2, 10.0.0.1", "10.0.0.2"),
        (b"203.0.113.5, garbage, 10.0.0.2", "10.0.0.2"),
        (b"203.0.113.5, unknown", "10.0.0.1"),
        (b"203.0.113.5, _hidden, 10.0.0.2", "10.0.0.2"),
        (b"203.0.113.5, , 10.0.0.2", "203.0.113.5"),
        (b"2001:db8::5, [2001:db8:ffff::1]:443", "2001:db8::5"),
        (b"", "10.0.0.1"),
    ],
)
def test_the_client_is_the_rightmost_address_that_is_not_trusted(chain: bytes, client: str) -> None:
    assert walk("10.0.0.1", hops_x_forwarded_for(chain), TRUSTED.__contains__).client == client


def test_a_walk_ends_after_32_hops() -> None:
    chain = b"203.0.113.5" + b", 10.0.0.2" * 40
    assert walk("10.0.0.1", hops_x_forwarded_for(chain), TRUSTED.__contains__).client == "10.0.0.2"


def test_scheme_and_host_come_from_the_clients_own_element() -> None:
    field = b"for=203.0.113.5;proto=gopher, for=198.51.100.9;proto=https;host=a.example, for=10.0.0.2;proto=http"
    assert walk("10.0.0.1", hops_forwarded(field), TRUSTED.__contains__) == Origin(
        "198.51.100.9", b"https", b"a.example"
    )


@pytest.mark.parametrize(
    ("client", "host", "element"),
    [
        ("192.0.2.1", b"a.example", b"for=192.0.2.1;proto=https;host=a.example"),
        ("2001:db8::1", b"a.example:81", b'for="[2001:db8::1]";proto=https;host="a.example:81"'),
        ("", b"", b"for=unknown;proto=https"),
    ],
)
def test_an_element_is_quoted_where_the_grammar_asks_for_it(client: str, host: bytes, element: bytes) -> None:
    assert forwarded_element(client, b"https", host) == element
