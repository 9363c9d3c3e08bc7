"""Some hundred hostile tokens of every kind: none comes in; each good one beside them does."""

from __future__ import annotations

import json
from typing import Any

import pytest

from edgeproxy.http.message import Response
from edgeproxy.jose.keys import KeySet, from_document, from_secret
from edgeproxy.jose.token import Expectations, TokenError, verify
from middleware.jwt import Jwt
from tests.support.hostile_tokens import PUBLIC, SHARED, WORD, good, hostile, key_set
from tests.support.stages import exchange, stage
from tests.support.tokens import NOW

GOOD, HOSTILE = good(), hostile()
SET = json.dumps(key_set())
KEYS: dict[str, tuple[KeySet, tuple[str, ...]]] = {
    "public keys": (from_document(SET.encode()), PUBLIC),
    "a secret": (from_secret(WORD.encode(), SHARED), SHARED),
}
BOTH: dict[str, Any] = {"issuer": "https://issuer.example", "audience": "shop", "failures": "1000000/s"}
STAGES = {
    "public keys": stage(Jwt, {"keys": SET, **BOTH}),
    "a secret": stage(Jwt, {"secret": WORD, "algorithms": list(SHARED), **BOTH}),
}


def expected(algorithms: tuple[str, ...]) -> Expectations:
    return Expectations(frozenset(algorithms), frozenset(("https://issuer.example",)), frozenset(("shop",)), leeway=30)


def test_they_are_many_and_all_different() -> None:
    assert len(HOSTILE) >= 500
    assert len(set(HOSTILE.values())) > 0.97 * len(HOSTILE), "some wrongs come to the same bytes"
    assert set(HOSTILE.values()).isdisjoint(GOOD.values())


@pytest.mark.parametrize("keys", KEYS)
@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_token_is_refused(name: str, keys: str) -> None:
    key_set_, algorithms = KEYS[keys]
    with pytest.raises(TokenError):
        verify(HOSTILE[name], key_set_, expected(algorithms), NOW)
    answer = STAGES[keys].request(exchange(headers={b"authorization": b"Bearer " + HOSTILE[name]}))
    assert isinstance(answer, Response)
    assert answer.status == 401


@pytest.mark.parametrize("name", GOOD)
def test_a_good_token_is_accepted(name: str) -> None:
    keys = "a secret" if name in SHARED else "public keys"
    key_set_, algorithms = KEYS[keys]
    assert verify(GOOD[name], key_set_, expected(algorithms), NOW)["sub"] == "alice"
    assert STAGES[keys].request(exchange(headers={b"authorization": b"Bearer " + GOOD[name]})) is None
