from __future__ import annotations

import os

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.origin.names import MOST, Found, Hosts, by_family, is_address, parse_hosts, together, ways


def test_addresses_by_family_each_once_in_order():
    given_ = ["192.0.2.10", "2001:db8::b", "192.0.2.9", "192.0.2.10", "2001:db8::a", "not one"]
    assert by_family(given_) == (("192.0.2.9", "192.0.2.10"), ("2001:db8::a", "2001:db8::b"))


def test_addresses_have_a_bound():
    assert len(by_family(f"192.0.2.{i}" for i in range(200))[0]) == MOST


@pytest.mark.parametrize(
    ("ipv4", "ipv6", "expected"),
    [
        (("a", "b"), (), [("a",), ("b",)]),
        ((), ("x", "y"), [("x",), ("y",)]),
        (None, ("x",), [("x",)]),
        (("a", "b"), ("x", "y"), [("a", "x"), ("b", "y")]),
        (("a", "b"), ("x",), [("a", "x"), ("b",)]),
        (("a",), ("x", "y", "z"), [("a", "x", "y", "z")]),
        ((), (), []),
    ],
)
def test_a_machine_is_counted_once_and_reached_by_both_families(ipv4, ipv6, expected):
    assert ways(Found(ipv4, ipv6)) == expected


def test_a_family_that_could_not_be_found_out_stays_as_it_was():
    last = Found(("192.0.2.1",), ("2001:db8::1",), 60)
    assert together(Found(("192.0.2.2",), None, 5), last) == (("192.0.2.2",), ("2001:db8::1",), 5)
    assert together(Found((), ("2001:db8::2",), 5), last) == ((), ("2001:db8::2",), 5)
    assert together(Found(("192.0.2.2",), None, 5), None) == (("192.0.2.2",), None, 5)


def test_a_hosts_file_is_read():
    text = "127.0.0.1 localhost\n# 192.0.2.9 no\n192.0.2.1\tApp app.local # x\n::1 localhost\nnonsense app\n192.0.2.2\n"
    assert parse_hosts(text) == {
        "localhost": ["127.0.0.1", "::1"],
        "app": ["192.0.2.1"],
        "app.local": ["192.0.2.1"],
    }


@given(st.text())
def test_no_hosts_file_raises(text):
    for addresses in parse_hosts(text).values():
        assert all(is_address(address) for address in addresses)


def test_a_changed_hosts_file_is_read_again(tmp_path):
    path = tmp_path / "hosts"
    hosts = Hosts(str(path))
    assert hosts.find("app") == ()
    path.write_text("192.0.2.1 app\n")
    assert hosts.find("APP.") == ["192.0.2.1"]
    path.write_text("192.0.2.2 app\n")
    os.utime(path, ns=(1, 1))
    assert hosts.find("app") == ["192.0.2.2"]
    path.unlink()
    assert hosts.find("app") == ()


@pytest.mark.parametrize(("host", "expected"), [("192.0.2.1", True), ("::1", True), ("localhost", False), ("1", False)])
def test_what_needs_no_look_up(host, expected):
    assert is_address(host) is expected
