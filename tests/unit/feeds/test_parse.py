"""Lists as they are published, whole and damaged."""

from __future__ import annotations

import json

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from edgeproxy.feeds import parse as parsing
from edgeproxy.feeds.parse import Broadest, FeedError, Form, Parsed, parse

# As Spamhaus writes it; its own networks are not quoted, these are for documentation (RFC 5737, RFC 3849).
DROP = b"""{"cidr":"192.0.2.0/24","sblid":"SBL256894","rir":"apnic"}
{"cidr":"2001:db8::/32","sblid":"SBL459831","rir":"ripencc"}
{"type":"metadata","timestamp":1800000000,"size":120,"records":2,"copyright":"(c) 2027","terms":"https://example.org"}
"""
NETSET = b"""#
# firehol_level1
#
# ipv4 hash:net ipset
#
192.0.2.0/24
198.51.100.7

203.0.113.0/25 ; SBL1
"""


def read(content: bytes, form: Form = "auto", broadest: Broadest = Broadest()) -> Parsed:  # noqa: B008 -- immutable
    return parse(content, form, broadest)


def test_spamhaus_lists_are_read_and_their_last_line_is_no_network() -> None:
    found = read(DROP)
    assert (
        repr(found.addresses) == "<AddressSet 192.0.2.0-192.0.2.255, 2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff>"
    )
    assert (found.networks, found.skipped) == (2, 0)


def test_netsets_are_read_without_their_comments() -> None:
    found = read(NETSET)
    assert repr(found.addresses) == (
        "<AddressSet 192.0.2.0-192.0.2.255, 198.51.100.7-198.51.100.7, 203.0.113.0-203.0.113.127>"
    )
    assert (found.networks, found.skipped) == (3, 0)


@pytest.mark.parametrize(
    "line",
    [
        b"192.0.2.7",
        b"192.0.2.0/24,abuse,2027",
        b"192.0.2.7/24",
        b"192.0.2.0/24\tx",
        b"  192.0.2.0/24\r",
        b"192.0.2.7/32",
    ],
)
def test_a_line_may_say_more_and_be_written_in_any_way(line: bytes) -> None:
    assert "192.0.2.7" in read(line).addresses


@pytest.mark.parametrize(
    "line",
    [
        *(
            b"0.0.0.0/0",
            b"::/0",
            b"16.0.0.0/7",
            b"2000::/15",
            b"<html>",
            b"192.0.2.0/33",
            b"192.0.2.0/",
            b"192.0.2.0/-1",
        ),
        *(
            b"192.0.2",
            b"192.0.2.0/24/24",
            b"2001:db8::/129",
            b"fe80::1%eth0",
            b"\xff\xfe",
            b"192.0.2.0/0x8",
            b"300.1.1.1",
        ),
    ],
)
def test_what_is_no_network_or_too_broad_is_skipped_and_counted(line: bytes) -> None:
    found = read(b"198.51.100.0/24\n" * 20 + line)
    assert (found.networks, found.skipped) == (20, 1)
    assert repr(found.addresses) == "<AddressSet 198.51.100.0-198.51.100.255>"


@pytest.mark.parametrize("line", [b"not json", b"[]", b"{}", b'{"cidr": 7}', b'{"cidr": "none"}', b"[" * 100_000])
def test_lines_that_are_no_records_are_skipped_and_counted(line: bytes) -> None:
    found = read(DROP * 10 + line, "ndjson")
    assert (found.networks, found.skipped) == (20, 1)


def test_how_broad_a_network_may_be_can_be_set() -> None:
    with pytest.raises(FeedError):
        read(b"192.0.2.0/24", broadest=Broadest(25, 16))
    assert "32.1.1.1" in read(b"32.0.0.0/3", broadest=Broadest(3, 16)).addresses


@pytest.mark.parametrize(
    "content", [b"<html>\n<p>Maintenance</p>\n</html>", NETSET + b"x\n", b"0.0.0.0/0", b'{"cidr": "0.0.0.0/0"}']
)
def test_a_list_with_too_much_that_cannot_be_read_is_refused(content: bytes) -> None:
    with pytest.raises(FeedError, match="lines are no networks"):
        read(content)


def test_a_list_has_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(parsing, "MOST", 10)
    assert read(b"192.0.2.0/24\n" * 10).networks == 10
    with pytest.raises(FeedError, match="more than 10 networks"):
        read(b"192.0.2.0/24\n" * 11)
    monkeypatch.setattr(parsing, "LARGEST", 100)
    with pytest.raises(FeedError, match="larger than"):
        read(b"#" * 101)


def test_nothing_but_comments_is_an_empty_list() -> None:
    assert read(b"# nobody today\n").networks == 0
    assert read(b"").networks == 0


def test_long_lists_in_any_order_are_sorted_and_let_others_on() -> None:
    addresses = [f"10.{number * 7919 % 256}.{number * 104729 % 251}.{number % 256}" for number in range(20_000)]
    pauses: list[None] = []
    found = parse("\n".join(addresses).encode(), "auto", Broadest(), lambda: pauses.append(None))
    assert len(pauses) >= 8
    assert all(address in found.addresses for address in addresses)
    assert "10.0.251.1" not in found.addresses


@given(st.binary(max_size=400), st.sampled_from(["auto", "ndjson", "list"]))
@example(b",", "auto")
def test_anything_is_a_list_or_refused(content: bytes, form: Form) -> None:
    try:
        found = read(content, form)
    except FeedError:
        return
    assert found.skipped <= 0.1 * (found.networks + found.skipped)


@given(st.lists(st.tuples(st.ip_addresses(), st.integers(0, 128)), max_size=20))
def test_networks_hold_their_own_addresses(networks: list[tuple[object, int]]) -> None:
    lines = [json.dumps({"cidr": f"{address}/{prefix}"}) for address, prefix in networks]
    try:
        found = read("\n".join(lines).encode(), "ndjson")
    except FeedError:
        return
    if not found.skipped:
        assert all(str(address) in found.addresses for address, _ in networks)
