"""Who has been here, in a table of a fixed size."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.floods.clients import MARGIN, PLACES, REMEMBERED, UNIT, Clients

SECRET = b"s" * 32
NOW = 1_000_000.0


def test_a_first_visit_is_one_once() -> None:
    clients = Clients(SECRET)
    key = clients.key("192.0.2.7")
    assert [clients.meet(key, NOW + later) for later in (0, 0, 3600, REMEMBERED)] == [True, False, False, False]


def test_who_was_away_for_long_is_new_again() -> None:
    clients = Clients(SECRET)
    key = clients.key("192.0.2.7")
    clients.meet(key, NOW)
    assert clients.meet(key, NOW + REMEMBERED + UNIT)


def test_known_is_who_was_here_well_before() -> None:
    clients = Clients(SECRET)
    key = clients.key("192.0.2.7")
    assert not clients.known(key, NOW)
    clients.meet(key, NOW)
    assert not clients.known(key, NOW + MARGIN / 2)
    assert clients.known(key, NOW + MARGIN + UNIT)


def test_an_ipv6_customer_is_one_client_and_ipv4_addresses_are_each() -> None:
    clients = Clients(SECRET)
    assert clients.key("2001:db8::1") == clients.key("2001:db8::2") != clients.key("2001:db8:0:1::1")
    assert clients.key("192.0.2.1") != clients.key("192.0.2.2")


def test_workers_share_it(tmp_path: Path) -> None:
    one, other = Clients(SECRET, tmp_path), Clients(SECRET, tmp_path)
    key = one.key("192.0.2.7")
    assert key == other.key("192.0.2.7")
    assert one.meet(key, NOW)
    assert not other.meet(key, NOW)
    assert other.known(key, NOW + 60)


def test_nobody_without_the_secret_can_tell_who_shares_a_place() -> None:
    assert Clients(SECRET).key("192.0.2.7") != Clients(b"t" * 32).key("192.0.2.7")


def test_a_flood_of_addresses_takes_no_more_memory_and_pushes_out_few() -> None:
    clients = Clients(SECRET)
    good = [clients.key(f"10.1.{number // 250}.{number % 250}") for number in range(1000)]
    for key in good:
        clients.meet(key, NOW)
    for number in range(60_000):
        clients.meet(clients.key(f"10.{2 + number // 62_500}.{number // 250 % 250}.{number % 250}"), NOW + 60)
    assert sum(clients.known(key, NOW + 70) for key in good) > 990
    assert len(clients._places) == PLACES


@given(st.lists(st.tuples(st.integers(0, 2**40 - 1), st.floats(0, 1e9)), max_size=50))
def test_whatever_comes_a_second_look_knows_it(visits: list[tuple[int, float]]) -> None:
    clients = Clients(SECRET)
    for key, now in visits:
        clients.meet(key, now)
        assert not clients.meet(key, now)
