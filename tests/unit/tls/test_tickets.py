"""Keys of session tickets: the same for all who share a secret, new every period, opening for one more."""

from __future__ import annotations

import ssl

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.clock import ManualClock
from edgeproxy.config.tls import TlsConfig
from edgeproxy.tls.context import load, new_context
from edgeproxy.tls.tickets import LIFETIME, PERIOD, TicketKeys
from tests.support.certificates import Authority, Pair
from tests.support.handshakes import client_context, meet

SECRET = b"s" * 32


class Node:
    """A context whose tickets are sealed with a secret, by a clock of its own."""

    def __init__(self, pair: Pair, *, secret: bytes = SECRET, scope: bytes = b"", profile: str = "modern") -> None:
        self.clock = ManualClock()
        config = TlsConfig.model_validate({"on_demand": True, "profile": profile})
        self.context = new_context(config, ("h2",))
        load(self.context, *map(str, pair))
        self.keys = TicketKeys(secret, scope, self.clock.wall)
        self.keys.give(self.context)

    def later(self, seconds: float) -> None:
        self.clock.advance(seconds)
        self.keys.give(self.context)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("tickets"))


@pytest.fixture(scope="module")
def pair(authority: Authority) -> Pair:
    return authority.issue("a.example")


@pytest.fixture(params=[ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def client(authority: Authority, request: pytest.FixtureRequest) -> ssl.SSLContext:
    context = client_context(str(authority.file))
    context.minimum_version = context.maximum_version = request.param
    return context


def begun(client: ssl.SSLContext, node: Node) -> ssl.SSLSession:
    session = meet(client, node.context, "a.example").client.session
    assert session is not None
    assert session.has_ticket
    return session


def resumed(client: ssl.SSLContext, node: Node, session: ssl.SSLSession) -> bool:
    return bool(meet(client, node.context, "a.example", session).client.session_reused)


def test_a_session_is_resumed_by_another_with_the_same_secret(client: ssl.SSLContext, pair: Pair) -> None:
    one, other = Node(pair, profile="intermediate"), Node(pair, profile="intermediate")
    assert resumed(client, other, begun(client, one))


def test_but_not_with_another_secret(client: ssl.SSLContext, pair: Pair) -> None:
    one, other = Node(pair, profile="intermediate"), Node(pair, profile="intermediate", secret=b"t" * 32)
    assert not resumed(client, other, begun(client, one))


def test_nor_where_clients_are_checked_differently(client: ssl.SSLContext, pair: Pair) -> None:
    one, other = Node(pair, profile="intermediate"), Node(pair, profile="intermediate", scope=b"strict")
    assert not resumed(client, other, begun(client, one))


@pytest.mark.parametrize("begun_at", [0.0, LIFETIME, PERIOD - 1], ids=["just changed", "settled", "about to change"])
def test_a_ticket_outlives_one_change_of_keys_and_not_two(client: ssl.SSLContext, pair: Pair, begun_at: float) -> None:
    node = Node(pair, profile="intermediate")
    node.later(PERIOD - node.clock.wall() % PERIOD + begun_at)
    session = begun(client, node)
    assert resumed(client, node, session)
    node.later(PERIOD - begun_at)
    assert resumed(client, node, session)
    again = begun(client, node)
    node.later(PERIOD)
    assert not resumed(client, node, session)
    assert resumed(client, node, again)


def test_once_old_tickets_have_expired_their_key_is_dropped(client: ssl.SSLContext, pair: Pair) -> None:
    node = Node(pair, profile="intermediate")
    session = begun(client, node)
    node.later(PERIOD - node.clock.wall() % PERIOD)
    assert resumed(client, node, session)
    node.later(LIFETIME)
    assert not resumed(client, node, session)


def test_a_new_secret_ends_what_was_sealed_with_the_old_one(client: ssl.SSLContext, pair: Pair) -> None:
    node = Node(pair, profile="intermediate")
    session = begun(client, node)
    node.keys.replace(b"n" * 32, b"")
    node.later(0)
    assert not resumed(client, node, session)


def test_a_node_whose_clock_is_ahead_is_understood() -> None:
    clock, ahead = ManualClock(), ManualClock()
    ahead.advance(PERIOD)
    keys = TicketKeys(SECRET, b"", clock.wall)
    assert keys.find(TicketKeys(SECRET, b"", ahead.wall).current().name) is not None


@given(st.binary(min_size=32, max_size=64), st.binary(max_size=32), st.floats(0, 4e9))
def test_keys_are_whole_and_differ_by_period(secret: bytes, scope: bytes, now: float) -> None:
    keys = TicketKeys(secret, scope, lambda: now)
    key = keys.current()
    assert (len(key.name), len(key.cipher), len(key.mac)) == (16, 32, 32)
    assert keys.find(key.name) == key
    later = TicketKeys(secret, scope, lambda: now + PERIOD).current()
    assert len({*key, *later}) == 6


@given(st.binary(max_size=40))
def test_an_unknown_name_finds_nothing(name: bytes) -> None:
    assert TicketKeys(SECRET, b"", lambda: 0.0).find(name) is None


def test_no_secret_is_shown() -> None:
    assert "s" * 8 not in repr(TicketKeys(SECRET, b"", lambda: 0.0))
