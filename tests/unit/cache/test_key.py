"""Cache keys: a request and the URL an operator purges come to the same one."""

from __future__ import annotations

import pytest

from edgeproxy.cache import key
from tests.support.stages import exchange


def test_a_request_is_known_by_scheme_authority_and_target() -> None:
    keys = {
        key.of_request(exchange(target, scheme=scheme, authority=authority).request)
        for target in (b"/a", b"/a?b=1", b"/A")
        for scheme in (b"http", b"https")
        for authority in (b"a.example", b"a.example:81")
    }
    assert len(keys) == 12
    assert b"https://a.example:81/a?b=1" in keys


@pytest.mark.parametrize("method", [b"GET", b"HEAD", b"POST"])
def test_the_method_is_no_part_of_it(method: bytes) -> None:
    """An unsafe method invalidates what GET stored, RFC 9111 §4.4."""
    assert key.of_request(exchange(b"/a", method=method).request) == b"http://www.example.com/a"


def test_a_key_nobody_can_ask_for_begins_with_its_url() -> None:
    partitioned = key.within(b"http://www.example.com/a?b=1", b"beta")
    assert partitioned == b"http://www.example.com/a?b=1#beta"
    assert key.url_of(partitioned) == b"http://www.example.com/a?b=1"
    assert key.target_of(partitioned) == b"/a?b=1"
    assert key.split(b"https://[::1]:81/a/b") == (b"https://[::1]:81", b"/a/b")
    with pytest.raises(ValueError, match="fragment"):
        key.of_url("http://www.example.com/a#beta")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("http://a.example/x?y=1", b"http://a.example/x?y=1"),
        ("HTTPS://A.Example:443/x", b"https://a.example/x"),
        ("http://a.example:81", b"http://a.example:81/"),
        ("http://a.example/a/../b/./c", b"http://a.example/b/c"),
        ("http://[2001:DB8::1]/", b"http://[2001:db8::1]/"),
    ],
)
def test_a_url_is_normalised_as_a_request_is(url: str, expected: bytes) -> None:
    assert key.of_url(url) == expected


@pytest.mark.parametrize("url", ["/x", "a.example/x", "ftp://a.example/", "http:///x", "http://a b/", ""])
def test_what_is_no_absolute_url_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="http"):
        key.of_url(url)
