"""What every request with a token passes: remembered ones cost look-ups, all else is asked about."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

from edgeproxy.clock import ManualClock
from edgeproxy.http.message import Response
from edgeproxy.jose.gate import Accepted, Gate
from edgeproxy.jose.keys import KeySet
from edgeproxy.jose.places import Places
from edgeproxy.jose.refresh import KeySource
from edgeproxy.jose.rules import Rule, parse_rule
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo
from tests.support.stages import exchange
from tests.support.tokens import NOW

KEYS = KeySet([])
RULE = parse_rule('claims.role == "admin"')


class Guarded:
    """A gate with what it asks and remembers under the test's control."""

    def __init__(self, lacking: Rule | None = None) -> None:
        self.clock = ManualClock(NOW)
        self.source = KeySource(KEYS)
        self.asked: list[bytes | None] = []
        fields = ((b"x-user", b"alice"),)
        accepted = Accepted(MappingProxyType({"sub": "alice"}), NOW + 60, fields, lacking, KEYS, self.source)
        verified: Memo[bytes, Accepted] = Memo(lambda token: accepted, 16)
        assert verified[b"known"] is accepted
        self.gate = Gate(
            Places(["bearer"]), frozenset((b"x-user",)), verified, self.clock.wall, self._unseen, self._lacks
        )

    def check(self, token: bytes | None, **headers: bytes) -> tuple[Any, Exchange]:
        bearing = {} if token is None else {b"authorization": b"Bearer " + token}
        x = exchange(headers=bearing | {name.encode(): value for name, value in headers.items()})
        return self.gate.check(x), x

    def _unseen(self, x: Exchange, token: bytes | None) -> Response:
        self.asked.append(token)
        return Response(401)

    def _lacks(self, rule: Rule) -> Response:
        return Response(403, {b"rule": rule.path[0].encode()})


def test_a_remembered_token_is_let_in_with_its_claims_and_fields() -> None:
    guarded = Guarded()
    answer, x = guarded.check(b"known", **{"x-user": b"root", "x_user": b"root"})
    assert (answer, x.claims, guarded.asked) == (None, {"sub": "alice"}, [])
    assert x.request.headers == {b"authorization": b"Bearer known", b"x-user": b"alice"}


def test_what_is_not_remembered_is_asked_about_and_nothing_is_let_through() -> None:
    guarded = Guarded()
    for token in (b"new", None):
        answer, x = guarded.check(token, **{"x-user": b"root"})
        assert (answer.status, x.claims, b"x-user" in x.request.headers) == (401, None, False)
    assert guarded.asked == [b"new", None]


def test_a_remembered_token_that_expired_or_whose_keys_are_gone_is_asked_about() -> None:
    guarded = Guarded()
    guarded.clock.advance(60)
    assert guarded.check(b"known")[0].status == 401
    guarded = Guarded()
    guarded.source.keys = KeySet([])
    assert guarded.check(b"known")[0].status == 401
    assert guarded.asked == [b"known"]


def test_a_token_whose_claims_do_not_do_is_nobodys() -> None:
    answer, x = Guarded(RULE).check(b"known")
    assert (answer.status, answer.get(b"rule"), x.claims) == (403, b"role", None)
    assert b"x-user" not in x.request.headers


def test_an_accepted_token_shows_what_it_says_and_never_itself() -> None:
    accepted = Accepted({"sub": "alice"}, NOW, (), RULE, KEYS, KeySource(KEYS))
    assert repr(accepted) == f"<Accepted {{'sub': 'alice'}} until {NOW}, lacking {RULE}>"
