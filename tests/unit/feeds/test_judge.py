"""What is done with clients that feeds name."""

from __future__ import annotations

from ipaddress import ip_network

import pytest

from edgeproxy.feeds.judge import ACTIONS, Judge, Listed
from edgeproxy.http.addresses import AddressSet
from edgeproxy.http.message import Response
from tests.support.stages import exchange


def judge(
    *feeds: tuple[str, str, str], spared: str = "198.51.100.0/24", treats: bool = True
) -> tuple[Judge, list[Listed]]:
    """Of feeds as (name, network, action)."""
    listed = []
    for name, network, action in feeds:
        one = Listed(name, ACTIONS.index(action))
        one.addresses = AddressSet([ip_network(network)])
        listed.append(one)
    made = Judge(listed, AddressSet([ip_network(spared)]), lambda _: None, lambda: Response(403), treats=treats)
    return made, listed


@pytest.mark.parametrize(
    ("action", "status", "treatment"),
    [("tag", None, ""), ("limit", None, "limit"), ("challenge", None, "challenge"), ("refuse", 403, "")],
)
def test_a_feed_calls_for_one_action(action: str, status: int | None, treatment: str) -> None:
    x = exchange()
    answer = judge(("bad", "192.0.2.0/24", action))[0].check(x)
    assert (answer and answer.status, x.treatment, x.feeds) == (status, treatment, ("bad",))


def test_of_several_feeds_the_strongest_counts_and_all_are_told() -> None:
    x = exchange()
    feeds = ("a", "192.0.0.0/16", "challenge"), ("b", "192.0.2.0/24", "limit"), ("c", "203.0.113.0/24", "refuse")
    assert judge(*feeds)[0].check(x) is None
    assert (x.feeds, x.treatment) == (("a", "b"), "challenge")


def test_a_treatment_is_never_made_milder() -> None:
    x = exchange()
    x.treatment = "challenge"
    judge(("a", "192.0.2.0/24", "limit"))[0].check(x)
    assert x.treatment == "challenge"


@pytest.mark.parametrize("client", ["198.51.100.7", "203.0.113.1", "", "unix", "2001:db8::1"])
def test_who_is_spared_or_in_no_feed_is_left_alone(client: str) -> None:
    x = exchange(client=client)
    assert judge(("a", "198.51.0.0/16", "refuse"))[0].check(x) is None
    assert (x.feeds, x.treatment) == ((), "")


def test_without_enforcing_clients_are_only_marked() -> None:
    x = exchange()
    judge(("a", "192.0.2.0/24", "challenge"), treats=False)[0].check(x)
    assert (x.feeds, x.treatment) == (("a",), "")


def test_what_was_found_is_remembered_until_a_feed_changes() -> None:
    made, [listed] = judge(("a", "192.0.2.0/24", "refuse"))
    assert made.check(exchange()) is not None
    listed.addresses = AddressSet()
    assert made.check(exchange()) is not None
    made.forget()
    assert made.check(exchange()) is None


def test_what_is_remembered_has_a_bound() -> None:
    made, _ = judge(("a", "10.0.0.0/8", "tag"))
    for number in range(20_000):
        made.check(exchange(client=f"10.{number >> 8}.{number & 255}.1"))
    assert len(made._standing) <= 16_384
