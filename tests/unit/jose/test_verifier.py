"""Tokens are verified once, by their own issuer's keys, and remembered until they expire or the keys change."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from edgeproxy.clock import ManualClock
from edgeproxy.jose.keys import KeySet, from_secret
from edgeproxy.jose.refresh import KeySource
from edgeproxy.jose.rules import parse_rule
from edgeproxy.jose.token import Expectations, TokenError, UnknownKeyError
from edgeproxy.jose.verifier import Issuer, NoKeysError, Verifier
from tests.support.tokens import NOW, SECRET, claims, token

KEYS = from_secret(SECRET.encode(), ["HS256"])
OTHER = from_secret(b"another-secret-of-32-bytes-or-so", ["HS256"])
RULE = parse_rule('claims.role == "admin"')


def named(*names: str) -> KeySet:
    return KeySet([KEYS.keys[0]._replace(kid=name) for name in names])


class Renewing(KeySource):
    """A source whose attempts the test makes: each runs what is next in ``outcomes``, if it was wanted."""

    def __init__(self, keys: KeySet | None, *outcomes: Callable[[Renewing], None]) -> None:
        super().__init__(keys)
        self.renews = True
        self.outcomes = list(outcomes)
        self.wanted = 0

    def want(self) -> None:
        self.wanted += 1

    async def attempted(self) -> None:
        if self.ended == self.begun:
            self.begun += 1
        await asyncio.sleep(0)
        self.outcomes.pop(0)(self)
        self.ended = self.begun


def brings(keys: KeySet) -> Callable[[Renewing], None]:
    def outcome(source: Renewing) -> None:
        source.keys, source.failures = keys, 0

    return outcome


def fails(source: Renewing) -> None:
    source.failures += 1


def stops(source: Renewing) -> None:
    source.renews = False


def verifier(
    keys: KeySet | KeySource | None = KEYS, leeway: float = 0, clock: ManualClock | None = None
) -> tuple[Verifier, KeySource]:
    source = keys if isinstance(keys, KeySource) else KeySource(keys)
    issuer = Issuer(source, Expectations(frozenset(("HS256",)), leeway=leeway), (RULE,))
    return Verifier([issuer], {"sub": "x-user", "org": "x-org"}, (clock or ManualClock(NOW)).wall), source


def test_a_token_comes_to_its_claims_fields_and_what_it_lacks() -> None:
    accepted = verifier(leeway=5)[0].accept(token(claims(role="user")))
    assert (accepted.claims, accepted.expires) == (claims(role="user"), NOW + 605)
    assert (accepted.fields, accepted.lacking) == (((b"x-user", b"alice"),), RULE)
    assert verifier()[0].accept(token(claims(role="admin"))).lacking is None


def test_claims_cannot_be_changed_by_who_reads_them() -> None:
    with pytest.raises(TypeError):
        verifier()[0].accept(token()).claims["sub"] = "admin"  # type: ignore[index]


def test_an_accepted_token_is_remembered_and_a_refused_one_is_not() -> None:
    checks, _ = verifier()
    good, bad = token(), token(signature=b"x")
    checks.accept(good)
    with pytest.raises(TokenError):
        checks.accept(bad)
    assert (good in checks.verified, bad in checks.verified) == (True, False)


def test_a_remembered_token_expires() -> None:
    clock = ManualClock(NOW)
    checks, _ = verifier(clock=clock)
    checks.accept(token())
    clock.advance(600)
    with pytest.raises(TokenError, match="expired"):
        checks.accept(token())


def test_new_keys_mean_new_checks() -> None:
    checks, source = verifier()
    checks.accept(token())
    source.keys = OTHER
    with pytest.raises(TokenError, match="signature"):
        checks.accept(token())
    assert len(checks.verified) == 0


def test_without_keys_nothing_is_accepted() -> None:
    with pytest.raises(NoKeysError):
        verifier(None)[0].accept(token())


def test_each_issuers_tokens_are_verified_with_its_own_keys_alone() -> None:
    issuers = [
        Issuer(KeySource(keys), Expectations(frozenset(("HS256",)), frozenset((name,))), ())
        for name, keys in (("one", KEYS), ("two", OTHER))
    ]
    checks = Verifier(issuers, {}, ManualClock(NOW).wall)
    assert checks.accept(token(claims(iss="one"))).claims["iss"] == "one"
    for issuer, said in (("two", "signature"), ("three", "issuer"), (None, "issuer")):
        with pytest.raises(TokenError, match=said):
            checks.accept(token(claims(iss=issuer)))
    issuers[1].source.keys = KeySet([])
    assert token(claims(iss="one")) in checks.verified, "another issuer's new keys are no matter of this one's tokens"
    assert checks.accept(token(claims(iss="one"))).stands()


async def test_a_token_whose_key_comes_with_the_next_set_is_accepted() -> None:
    source = Renewing(named("one"), brings(named("one", "two")))
    checks, _ = verifier(source)
    with pytest.raises(UnknownKeyError):
        checks.accept(token(header={"kid": "two"}))
    assert checks.renews(token())
    assert (await checks.settle(token(header={"kid": "two"}))).claims == claims()
    assert source.wanted == 1


async def test_an_attempt_begun_before_the_token_came_does_not_decide_against_it() -> None:
    source = Renewing(named("one"), brings(named("one")), brings(named("one", "two")))
    source.begun = 1
    assert (await verifier(source)[0].settle(token(header={"kid": "two"}))).claims == claims()


@pytest.mark.parametrize(
    ("outcomes", "error"),
    [
        ([brings(named("one"))], UnknownKeyError),
        ([fails], NoKeysError),
        ([stops], UnknownKeyError),
        ([brings(OTHER)], TokenError),
    ],
)
async def test_what_the_newest_set_does_not_know_is_refused(
    outcomes: list[Callable[[Renewing], None]], error: type[Exception]
) -> None:
    source = Renewing(named("one"), *outcomes)
    with pytest.raises(error):
        await verifier(source)[0].settle(token(header={"kid": "two"}))
    assert source.outcomes == []


async def test_a_source_that_has_stopped_is_not_waited_for() -> None:
    source = Renewing(named("one"))
    source.renews = False
    with pytest.raises(UnknownKeyError):
        await verifier(source)[0].settle(token(header={"kid": "two"}))


async def test_the_first_keys_are_waited_for() -> None:
    checks, _ = verifier(Renewing(None, brings(KEYS)))
    assert (await checks.settle(token())).claims == claims()


async def test_a_token_that_names_no_key_may_be_of_the_next_one_and_one_that_names_its_key_may_not() -> None:
    nameless, named_one = token(), token(header={"kid": "one"}, signature=b"x")
    with pytest.raises(UnknownKeyError, match="signature"):
        verifier(Renewing(OTHER))[0].accept(nameless)
    assert (await verifier(Renewing(OTHER, brings(KEYS)))[0].settle(nameless)).claims == claims()
    with pytest.raises(TokenError, match="signature") as caught:
        verifier(Renewing(named("one")))[0].accept(named_one)
    assert not isinstance(caught.value, UnknownKeyError)
