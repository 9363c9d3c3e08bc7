"""Clearances: signed, bound to network and agent, good until they expire, and gone before anybody else sees them."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.challenge.clearance import Clearances, said_expiry, take_out

NOW = 1_800_000_000.0
WHO = b"192.0.2.7/32\0Mozilla/5.0"
CLEARANCES = Clearances(b"s" * 32)


def test_a_clearance_is_worth_its_level_until_it_expires() -> None:
    value = CLEARANCES.make(1_800_000_010, 16, WHO)
    assert CLEARANCES.level(value, WHO, NOW) == 16
    assert CLEARANCES.level(value, WHO, NOW + 9.9) == 16
    assert CLEARANCES.level(value, WHO, NOW + 10) == -1


def test_it_is_worth_nothing_elsewhere() -> None:
    value = CLEARANCES.make(1_800_000_010, 16, WHO)
    assert CLEARANCES.level(value, b"192.0.2.8/32\0Mozilla/5.0", NOW) == -1
    assert CLEARANCES.level(value, b"192.0.2.7/32\0curl/8.0", NOW) == -1
    assert Clearances(b"t" * 32).level(value, WHO, NOW) == -1


def test_another_node_with_the_secret_accepts_it() -> None:
    assert Clearances(b"s" * 32).level(CLEARANCES.make(1_800_000_010, 16, WHO), WHO, NOW) == 16


def test_neither_its_end_nor_its_level_can_be_changed() -> None:
    version, _, _, signature = CLEARANCES.make(1_800_000_010, 16, WHO).split(b".")
    assert CLEARANCES.level(b".".join((version, b"1900000000", b"16", signature)), WHO, NOW) == -1
    assert CLEARANCES.level(b".".join((version, b"1800000010", b"24", signature)), WHO, NOW) == -1


@given(st.binary(max_size=200) | st.text(alphabet="01.9aZ_-", max_size=80).map(str.encode))
def test_what_was_made_up_is_worth_nothing_and_raises_nothing(value: bytes) -> None:
    assert CLEARANCES.level(value, WHO, 0) == -1
    assert said_expiry(value) >= 0


@given(st.data())
def test_a_clearance_with_any_byte_changed_is_worth_nothing(data: st.DataObject) -> None:
    value = CLEARANCES.make(1_800_000_010, 16, WHO)
    place = data.draw(st.integers(0, len(value) - 1))
    byte = data.draw(st.integers(0, 255).filter(lambda byte: byte != value[place]))
    assert CLEARANCES.level(value[:place] + bytes((byte,)) + value[place + 1 :], WHO, NOW) == -1


def test_a_flood_of_made_up_cookies_has_a_bound() -> None:
    clearances = Clearances(b"s" * 32)
    for number in range(20_000):
        clearances.level(b"made up %d" % number, WHO, NOW)
    assert len(clearances._grants) <= 16_384


@pytest.mark.parametrize(
    ("field", "value", "left"),
    [
        (b"clear=1", b"1", None),
        (b"a=1; clear=x; b=2", b"x", b"a=1; b=2"),
        (b"clear=x; b=2", b"x", b"b=2"),
        (b"a=1;clear=x", b"x", b"a=1"),
        (b"clear=x; clear=y; a=1", b"x", b"a=1"),
        (b"unclear=x; a=clear=1", None, b"unclear=x; a=clear=1"),
        (b"clear; a=1", None, b"clear; a=1"),
        (b'a="1;2"; clear=; b', b"", b'a="1;2"; b'),
    ],
)
def test_the_cookie_is_taken_out_and_no_other(field: bytes, value: bytes | None, left: bytes | None) -> None:
    headers = {b"cookie": field, b"accept": b"*/*"}
    assert take_out(headers, b"clear") == value
    assert headers == {b"accept": b"*/*"} | ({} if left is None else {b"cookie": left})


@given(st.binary(max_size=100))
def test_any_field_can_be_looked_through(field: bytes) -> None:
    headers = {b"cookie": field}
    take_out(headers, b"c")
    assert take_out({b"cookie": headers.get(b"cookie", b"")}, b"c") is None
