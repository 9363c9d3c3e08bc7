"""Nonces are used once, as long as they are remembered, which has a bound."""

from __future__ import annotations

from edgeproxy.identity.signature_nonces import Nonces


def test_a_nonce_is_good_once_for_each_agent() -> None:
    nonces = Nonces(100, 60)
    assert [nonces.use("a", "1", 0), nonces.use("a", "1", 0), nonces.use("b", "1", 0)] == [True, False, True]
    assert [nonces.use("a", "2", 0), nonces.use("", "a\x001", 0)] == [True, True]


def test_it_is_remembered_for_its_time_and_not_for_ever() -> None:
    nonces = Nonces(100, 60)
    for start in range(0, 600, 7):
        assert nonces.use("a", str(start), start)
        assert not nonces.use("a", str(start), start + 59.9)
        assert len(nonces) < 40
    assert nonces.use("a", "0", 600)
    assert nonces.use("a", "0", 10_000)
    assert len(nonces) == 1


def test_a_flood_of_nonces_has_a_bound_and_the_last_ones_are_remembered() -> None:
    nonces = Nonces(100, 60)
    for number in range(1000):
        assert nonces.use("a", str(number), 0)
        assert len(nonces) <= 100
    assert not nonces.use("a", "999", 0)
    assert not nonces.use("a", "960", 0)
    assert nonces.use("a", "800", 0)


def test_it_shows_how_full_it_is() -> None:
    nonces = Nonces(10, 60)
    for number in range(7):
        nonces.use("a", str(number), 0)
    assert repr(nonces) == "<Nonces 2+5 of 10>"
