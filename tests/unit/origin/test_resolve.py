from __future__ import annotations

import socket

import pytest

from edgeproxy.origin.resolve import MOST, addresses, is_address


def answer(family: int, address: str):
    return (family, socket.SOCK_STREAM, 6, "", (address, 80))


def test_every_address_once_in_order():
    answers = [answer(socket.AF_INET, a) for a in ("192.0.2.2", "192.0.2.1", "192.0.2.2")]
    assert addresses(answers) == ("192.0.2.2", "192.0.2.1")


def test_one_family():
    v6, v4 = answer(socket.AF_INET6, "2001:db8::1"), answer(socket.AF_INET, "192.0.2.1")
    assert addresses([v6, v4]) == ("192.0.2.1",)
    assert addresses([v6]) == ("2001:db8::1",)
    assert addresses([]) == ()


def test_a_bound():
    assert len(addresses([answer(socket.AF_INET, f"192.0.2.{i}") for i in range(200)])) == MOST


@pytest.mark.parametrize(("host", "expected"), [("192.0.2.1", True), ("::1", True), ("localhost", False), ("1", False)])
def test_what_needs_no_look_up(host, expected):
    assert is_address(host) is expected
