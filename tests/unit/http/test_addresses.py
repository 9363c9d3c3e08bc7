"""Addresses as numbers, and sets of networks."""

from __future__ import annotations

import ipaddress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.http.addresses import AddressSet, canonical, network, to_int, to_text

V4 = st.integers(0, 2**32 - 1).map(ipaddress.IPv4Address)
V6 = st.integers(0, 2**128 - 1).map(ipaddress.IPv6Address)


@pytest.mark.parametrize(
    ("written", "text"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:DB8:0:0::1", "2001:db8::1"),
        ("fe80::1%eth0", "fe80::1"),
    ],
)
def test_an_address_has_one_canonical_form(written: str, text: str) -> None:
    assert canonical(written) == text


@pytest.mark.parametrize("text", ["", "localhost", "1.2.3", "01.2.3.4", "0x7f.1", "1.2.3.4.5", "1.2.3.4\0", "::g", "é"])
def test_what_is_no_address_is_none(text: str) -> None:
    assert to_int(text) is None


@given(st.one_of(V4, V6))
def test_numbers_and_text_agree_with_the_standard_library(
    address: ipaddress.IPv4Address | ipaddress.IPv6Address,
) -> None:
    number = to_int(str(address))
    assert number is not None
    back = ipaddress.ip_address(to_text(number))
    assert back == (getattr(address, "ipv4_mapped", None) or address)


@given(st.lists(st.tuples(V4, st.integers(0, 32)), max_size=8), V4)
def test_a_set_holds_exactly_its_networks(
    blocks: list[tuple[ipaddress.IPv4Address, int]], probe: ipaddress.IPv4Address
) -> None:
    networks = [ipaddress.IPv4Network((address, prefix), strict=False) for address, prefix in blocks]
    addresses = AddressSet(networks)
    for address in (
        probe,
        *(block.network_address for block in networks),
        *(block.broadcast_address for block in networks),
    ):
        assert (str(address) in addresses) is any(address in block for block in networks)


def test_overlapping_and_adjacent_networks_are_merged() -> None:
    blocks = ["10.0.0.0/9", "10.128.0.0/9", "10.1.0.0/16", "2001:db8::/32"]
    addresses = AddressSet(map(ipaddress.ip_network, blocks))
    assert repr(addresses) == "<AddressSet 10.0.0.0-10.255.255.255, 2001:db8::-2001:db8:ffff:ffff:ffff:ffff:ffff:ffff>"


def test_an_ipv4_network_holds_mapped_addresses_too() -> None:
    assert "::ffff:10.1.2.3" in AddressSet([ipaddress.ip_network("10.0.0.0/8")])


def test_what_is_no_address_is_in_no_set() -> None:
    assert "" not in AddressSet([ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")])


@pytest.mark.parametrize(
    ("address", "expected"),
    [("192.0.2.7", "192.0.2.0/24"), ("2001:db8:1:2:3::4", "2001:db8:1:2::/64"), ("", ""), ("unknown", "unknown")],
)
def test_the_network_of_an_address(address: str, expected: str) -> None:
    assert network(address, 24, 64) == expected
