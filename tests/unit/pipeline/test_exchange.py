"""A sub-exchange is for the same client on the same route, and for nothing else of the first."""

from __future__ import annotations

from tests.support.stages import exchange


def test_a_fork_knows_who_asks_and_shares_nothing_of_the_answer() -> None:
    x = exchange(b"/page", client="192.0.2.9")
    x.client, x.id, x.claims, x.bot, x.tags = "203.0.113.5", b"r1", {"sub": "alice"}, "crawler", ("a",)
    x.verdict, x.error, x.sent, x.tries, x.endpoint = b"hit", "dns", 7, 2, "10.0.0.1:80"
    own = x.fork(exchange(b"/picture").request)
    assert own.request.target == b"/picture"
    assert (own.peer, own.route, own.client, own.id) == (x.peer, x.route, "203.0.113.5", b"r1")
    assert (own.claims, own.bot, own.tags) == ({"sub": "alice"}, "crawler", ("a",))
    assert (own.verdict, own.error, own.sent, own.tries, own.endpoint) == (b"", "", 0, 0, "")


def test_a_fork_can_be_changed_without_the_first() -> None:
    x = exchange()
    own = x.fork(x.request)
    own.verdict, own.client = b"hit", "192.0.2.99"
    assert (x.verdict, x.client) == (b"", "192.0.2.7")
