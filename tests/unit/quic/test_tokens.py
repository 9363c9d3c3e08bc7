"""A Retry token is good for one client, one connection, and a moment."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.quic.tokens import LIFETIME, Address, Tokens

SECRET = b"s" * 32
CLIENT: Address = ("192.0.2.7", 50_000)
ORIGINAL, CHOSEN = b"original", b"ours0000"


class Wall:
    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def wall() -> Wall:
    return Wall()


@pytest.mark.parametrize("client", [CLIENT, ("2001:db8::7", 443, 0, 0)])
@pytest.mark.parametrize("original", [b"8 bytes.", b"twenty bytes of an id", b""])
def test_any_worker_takes_what_another_gave(wall: Wall, client: Address, original: bytes) -> None:
    original = original[:20]
    token = Tokens(SECRET, wall).make(client, original, CHOSEN)
    assert Tokens(SECRET, wall).check(token, client, CHOSEN) == original


@pytest.mark.parametrize(
    ("client", "chosen"),
    [(("192.0.2.8", 50_000), CHOSEN), (("192.0.2.7", 50_001), CHOSEN), (CLIENT, b"ours0001")],
)
def test_it_is_good_for_nobody_else(wall: Wall, client: Address, chosen: bytes) -> None:
    tokens = Tokens(SECRET, wall)
    assert tokens.check(tokens.make(CLIENT, ORIGINAL, CHOSEN), client, chosen) is None


def test_it_is_good_for_a_moment(wall: Wall) -> None:
    tokens = Tokens(SECRET, wall)
    token = tokens.make(CLIENT, ORIGINAL, CHOSEN)
    wall.now += LIFETIME - 1
    assert tokens.check(token, CLIENT, CHOSEN) == ORIGINAL
    wall.now += 2
    assert tokens.check(token, CLIENT, CHOSEN) is None


def test_a_node_takes_no_others(wall: Wall) -> None:
    token = Tokens(b"t" * 32, wall).make(CLIENT, ORIGINAL, CHOSEN)
    assert Tokens(SECRET, wall).check(token, CLIENT, CHOSEN) is None


@given(st.binary(max_size=80))
def test_what_is_made_up_is_worth_nothing(token: bytes) -> None:
    assert Tokens(SECRET, Wall()).check(token, CLIENT, CHOSEN) is None


@given(st.integers(0, 27), st.integers(1, 255))
def test_what_is_changed_is_worth_nothing(at: int, change: int) -> None:
    tokens = Tokens(SECRET, Wall())
    token = bytearray(tokens.make(CLIENT, ORIGINAL, CHOSEN))
    token[at] ^= change
    assert tokens.check(bytes(token), CLIENT, CHOSEN) is None
    assert repr(tokens) == "<Tokens>"
