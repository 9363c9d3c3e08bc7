"""Redirect targets: what is fit to be one, and how it renders. Hostile paths are tried with the redirects stage."""

from __future__ import annotations

import re

import pytest

from edgeproxy.pipeline.location import Source, compile_location, escape, with_query
from tests.support.stages import exchange


def rendered(to: str, group: bytes = b"", target: bytes = b"/p?q=1") -> bytes:
    source = Source(re.fullmatch(rb"(.*)", group, re.DOTALL), exchange(target, scheme=b"https").request)
    return compile_location(to, ["1"])(source)


@pytest.mark.parametrize(
    ("to", "group", "location"),
    [
        ("/a/{1}", b"b/c", b"/a/b/c"),
        ("/{1}", b"/evil.example", b"/evil.example"),
        ("{path}/x", b"", b"/p/x"),
        ("{scheme}://{host}{path}", b"", b"https://www.example.com/p"),
        ("https://example.org:8443/{1}", b"a", b"https://example.org:8443/a"),
        ("https://example.org", b"", b"https://example.org"),
        ("https://[2001:db8::1]/{1}", b"a", b"https://[2001:db8::1]/a"),
        ("https://example.org?to={1}", b"a&b=c#d", b"https://example.org?to=a%26b%3Dc%23d"),
        ("/{1}", b"a%2Fb%zz?#\\ \r\n\xc3\xa9", b"/a%2Fb%25zz%3F%23%5C%20%0D%0A%C3%A9"),
        ("/caf\u00e9", b"", b"/caf%C3%A9"),
    ],
)
def test_a_target_renders_as_a_uri(to: str, group: bytes, location: bytes) -> None:
    assert rendered(to, group) == location


@pytest.mark.parametrize(
    "to",
    [
        "",
        "a",
        "//a",
        "{1}",
        "{host}",
        "ftp://a/",
        "https://",
        "https:///a",
        "https://a{1}",
        "https://{1}/",
        "https://a@b/",
        "http:/a",
    ],
)
def test_what_is_no_path_and_has_no_host_of_its_own_is_refused(to: str) -> None:
    with pytest.raises(ValueError, match="must be a path"):
        rendered(to)


def test_unknown_groups_and_unfit_characters_are_refused() -> None:
    with pytest.raises(ValueError, match="unknown placeholder"):
        rendered("/{2}")
    with pytest.raises(ValueError, match="no URI may hold"):
        rendered("/a b")


def test_escaping_twice_changes_nothing() -> None:
    once = escape(b"/a b%20c%zz\xff")
    assert once == b"/a%20b%20c%25zz%FF"
    assert escape(once) == once


def test_a_query_goes_before_the_fragment() -> None:
    assert with_query(b"/a", b"") == b"/a"
    assert with_query(b"/a#f", b"q") == b"/a?q#f"
    assert with_query(b"/a?b#f", b"q") == b"/a?b&q#f"
