"""Addresses as numbers, and sets of networks."""

from __future__ import annotations

import ipaddress
import time
from bisect import bisect_right

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edgeproxy.http import addresses as addresses_module
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


def test_a_set_is_made_of_sorted_ranges_that_may_overlap() -> None:
    ranges = [(to_int("10.0.0.0"), to_int("10.0.0.9")), (to_int("10.0.0.5"), to_int("10.0.1.0"))]
    found = AddressSet.of_ranges([(first or 0, last or 0) for first, last in ranges])
    assert repr(found) == "<AddressSet 10.0.0.0-10.0.1.0>"
    assert len(found) == 1
    assert not AddressSet()


def test_a_network_around_all_of_ipv4_holds_it() -> None:
    addresses = AddressSet([ipaddress.ip_network("::/0")])
    assert all(text in addresses for text in ("0.0.0.0", "255.255.255.255", "::", "ffff::1", "::ffff:1.2.3.4"))
    assert len(addresses) == 3


class Counted(int):
    """A number that counts how often it is compared."""

    compared = 0

    def __lt__(self, other: int) -> bool:
        Counted.compared += 1
        return int.__lt__(self, other)


@settings(max_examples=15)  # each builds a set of thousands
@given(st.lists(V4, min_size=1, max_size=30, unique=True), st.lists(V4, max_size=10))
def test_many_networks_are_asked_by_an_index_with_the_same_answers(
    some: list[ipaddress.IPv4Address], probes: list[ipaddress.IPv4Address]
) -> None:
    """Every second address of 10.1.0.0/18, and some anywhere."""
    many = [ipaddress.IPv4Address(0x0A010000 + 2 * number) for number in range(addresses_module.INDEXED)]
    large = AddressSet([ipaddress.IPv4Network(address) for address in {*many, *some}])
    assert large._index is not None
    held = {*many, *some}
    for address in (*some, *probes, *many[:3], many[-1], ipaddress.IPv4Address("255.255.255.255")):
        for near in (int(address) - 1, int(address), int(address) + 1):
            if 0 <= near < 2**32:
                assert (str(ipaddress.IPv4Address(near)) in large) is (ipaddress.IPv4Address(near) in held)


def test_a_look_up_among_200_000_networks_takes_few_steps() -> None:
    """Spread as lists are: by the index a handful of networks is left to search, of 200,000 it would be 18 steps."""
    ranges = [(0xFFFF << 32 | number * 21_001, 0xFFFF << 32 | number * 21_001 + 3) for number in range(200_000)]
    large = AddressSet.of_ranges(ranges)
    assert len(large) == 200_000
    probe = Counted((0xFFFF << 32 | 150_000 * 21_001) & (2**32 - 1))
    half, index = probe >> 16, large._index
    assert index is not None
    bisect_right(large._starts4, probe, index[half], index[half + 1])
    assert 0 < Counted.compared <= 3


@pytest.mark.bench
def test_the_time_of_a_look_up_among_200_000_networks() -> None:
    large = AddressSet.of_ranges([(0xFFFF << 32 | n * 21_001, 0xFFFF << 32 | n * 21_001 + 3) for n in range(200_000)])
    texts = [to_text(0xFFFF << 32 | n * 7_919_003 % 2**32) for n in range(50_000)]
    started = time.process_time()
    for text in texts:
        text in large  # noqa: B015 -- what is measured
    taken = (time.process_time() - started) / len(texts)
    print(f"{taken * 1e9:.0f} ns a look-up in {len(large)} ranges")
