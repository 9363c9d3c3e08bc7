"""Targets and authorities: one form for what means one thing, a refusal for what means two."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.target import parse_authority, parse_target


@pytest.mark.parametrize(
    ("sent", "target", "path", "query"),
    [
        (b"/", b"/", b"/", b""),
        (b"/a/b?x=1&y=//", b"/a/b?x=1&y=//", b"/a/b", b"x=1&y=//"),
        (b"/x/../admin", b"/admin", b"/admin", b""),
        (b"/%61dmin", b"/admin", b"/admin", b""),
        (b"/x/%2e%2E/admin", b"/admin", b"/admin", b""),
        (b"/x/./y/.", b"/x/y/", b"/x/y/", b""),
        (b"/x/y/..", b"/x/", b"/x/", b""),
        (b"//admin", b"//admin", b"/admin", b""),
        (b"/a%2fb", b"/a%2Fb", b"/a%2Fb", b""),
        (b"/a%20b", b"/a%20b", b"/a b", b""),
        (b"/caf%c3%a9", b"/caf%C3%A9", "/café".encode(), b""),
        (b"/a?b=%zz", b"/a?b=%zz", b"/a", b"b=%zz"),
        (b"/.well-known/x", b"/.well-known/x", b"/.well-known/x", b""),
        (b"/...", b"/...", b"/...", b""),
    ],
)
def test_equivalent_targets_become_one(sent: bytes, target: bytes, path: bytes, query: bytes) -> None:
    assert parse_target(sent) == (target, path, query)


@pytest.mark.parametrize("sent", [b"/../x", b"/a/../../x", b"/%zz", b"/%", b"/%4", b"/a%00b", b"/a#b", b"/%2e%2e/x"])
def test_what_can_be_read_in_two_ways_is_refused(sent: bytes) -> None:
    with pytest.raises(EdgeError) as caught:
        parse_target(sent)
    assert caught.value.kind is Kind.BAD_REQUEST


@given(st.text("abc/.%2eEfF", max_size=30))
def test_normalising_twice_changes_nothing_and_leaves_no_dot_segments(tail: str) -> None:
    try:
        target, path, _ = parse_target(b"/" + tail.encode())
    except EdgeError:
        return
    assert parse_target(target) == (target, path, b"")
    assert not {b".", b".."} & set(target.split(b"/"))


@pytest.mark.parametrize(
    ("sent", "scheme", "host", "authority"),
    [
        (b"Example.COM", b"http", b"example.com", b"example.com"),
        (b"example.com:80", b"http", b"example.com", b"example.com"),
        (b"example.com:80", b"https", b"example.com", b"example.com:80"),
        (b"example.com:443", b"https", b"example.com", b"example.com"),
        (b"example.com:8080", b"http", b"example.com", b"example.com:8080"),
        (b"example.com.", b"http", b"example.com", b"example.com"),
        (b"example.com:", b"http", b"example.com", b"example.com"),
        (b"[2001:DB8::1]:8443", b"https", b"[2001:db8::1]", b"[2001:db8::1]:8443"),
        (b"192.0.2.1", b"http", b"192.0.2.1", b"192.0.2.1"),
    ],
)
def test_authorities_become_one(sent: bytes, scheme: bytes, host: bytes, authority: bytes) -> None:
    parsed = parse_authority(sent, scheme)
    assert (parsed.host, parsed.authority) == (host, authority)


@pytest.mark.parametrize(
    "sent",
    [
        b"",
        b"a b",
        b"a,b",
        b"u@a",
        b"a/b",
        b"a:b",
        b"a:99999",
        b"a:1:2",
        b"[::1",
        b"[zz]",
        b"a..b",
        b".a",
        b"-a",
        b"a\x00",
        b"a" * 300,
    ],
)
def test_invalid_hosts_are_refused(sent: bytes) -> None:
    with pytest.raises(EdgeError):
        parse_authority(sent, b"http")
