"""Tokens are verified once, and remembered until they expire or the keys change."""

from __future__ import annotations

import pytest

from edgeproxy.clock import ManualClock
from edgeproxy.jose.keys import KeySet, from_secret
from edgeproxy.jose.refresh import KeySource
from edgeproxy.jose.token import Expectations, TokenError, UnknownKeyError
from edgeproxy.jose.verifier import NoKeysError, Verifier
from tests.support.tokens import NOW, SECRET, claims, token

KEYS = from_secret(SECRET.encode(), ["HS256"])


class Source(KeySource):
    """Keys that can be changed, and how often newer ones were wanted."""

    wanted = 0

    def want(self) -> None:
        self.wanted += 1


def verifier(keys: KeySet | None = KEYS, leeway: float = 0, clock: ManualClock | None = None) -> Verifier:
    expected = Expectations(frozenset(("HS256",)), leeway=leeway)
    return Verifier(
        Source(keys),
        expected,
        {"role": ("admin",)},
        {"sub": "x-user", "org": "x-org"},
        (clock or ManualClock(NOW)).wall,
    )


def wanted(of: Verifier) -> int:
    assert isinstance(of.source, Source)
    return of.source.wanted


def test_a_token_comes_to_its_claims_fields_and_what_it_lacks() -> None:
    accepted = verifier(leeway=5).accept(token(claims(role="user")))
    assert accepted == (claims(role="user"), NOW + 605, ((b"x-user", b"alice"),), "role")
    assert verifier().accept(token(claims(role="admin"))).lacking is None


def test_claims_cannot_be_changed_by_who_reads_them() -> None:
    with pytest.raises(TypeError):
        verifier().accept(token()).claims["sub"] = "admin"  # type: ignore[index]


def test_an_accepted_token_is_remembered_and_a_refused_one_is_not() -> None:
    checks = verifier()
    good, bad = token(), token(signature=b"x")
    checks.accept(good)
    with pytest.raises(TokenError):
        checks.accept(bad)
    assert (checks.remembers(good), checks.remembers(bad)) == (True, False)


def test_a_remembered_token_expires() -> None:
    clock = ManualClock(NOW)
    checks = verifier(clock=clock)
    checks.accept(token())
    clock.advance(600)
    with pytest.raises(TokenError, match="expired"):
        checks.accept(token())


def test_new_keys_mean_new_checks() -> None:
    checks = verifier()
    checks.accept(token())
    checks.source.keys = from_secret(b"another-secret-of-32-bytes-or-so", ["HS256"])
    with pytest.raises(TokenError, match="signature"):
        checks.accept(token())


def test_without_keys_they_are_wanted_and_nothing_is_accepted() -> None:
    checks = verifier(None)
    with pytest.raises(NoKeysError):
        checks.accept(token())
    assert wanted(checks) == 1


def test_an_unknown_key_makes_newer_keys_wanted_and_a_bad_signature_does_not() -> None:
    named = KeySet([KEYS.keys[0]._replace(kid="one")])
    checks = verifier(named)
    with pytest.raises(TokenError):
        checks.accept(token(header={"kid": "one"}, signature=b"x"))
    assert wanted(checks) == 0
    with pytest.raises(UnknownKeyError):
        checks.accept(token(header={"kid": "two"}))
    assert wanted(checks) == 1
