"""Rules over claims: what they say yes to, and what is no rule."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.jose.rules import parse_rule

CLAIMS: dict[str, Any] = {
    "role": "admin",
    "roles": ["user", "admin"],
    "verified": True,
    "level": 1,
    "weight": 2.5,
    "scope": "read write:all",
    "name": "admin of nothing",
    "realm_access": {"roles": ["editor"], "deep": {"er": "yes"}},
    "https://a.example/plan": "gold",
    "realm_access.roles": ["impostor"],
    "nothing": None,
    "mixed": [["admin"], {"admin": True}, 1],
}

HOLD = [
    'claims.role in ["admin"]',
    'claims.role in ["root", "admin"]',
    'claims.role == "admin"',
    '  claims.role=="admin" ',
    'claims.role in["admin"]',
    "claims.verified == true",
    "claims.level == 1",
    "claims.level == 1.0",
    "claims.weight in [1, 2.5]",
    'claims.roles contains "admin"',
    'claims.roles contains ["root", "user"]',
    'claims.scope contains "write:all"',
    'claims.realm_access.roles contains "editor"',
    'claims.realm_access.deep.er == "yes"',
    'claims["https://a.example/plan"] == "gold"',
    'claims["realm_access"]["deep"].er == "yes"',
    'claims["realm_access.roles"] contains "impostor"',
    "claims.mixed contains 1",
]
FAIL = [
    'claims.role in ["adm", "administrator"]',
    'claims.role contains "admin"',
    'claims.roles in ["admin"]',
    'claims.roles == "admin"',
    "claims.verified == 1",
    'claims.verified == "true"',
    "claims.level == true",
    'claims.level == "1"',
    'claims.scope contains "write"',
    'claims.scope == "read"',
    'claims.name contains "admin"',
    'claims.realm_access.roles contains "impostor"',
    'claims.role.length == "5"',
    'claims.missing in ["admin"]',
    'claims.nothing == "null"',
    'claims.mixed contains "admin"',
    'claims.realm_access contains "roles"',
]


@pytest.mark.parametrize("rule", HOLD)
def test_a_rule_holds_for_what_the_claim_is_or_contains(rule: str) -> None:
    assert parse_rule(rule).holds(CLAIMS)


@pytest.mark.parametrize("rule", FAIL)
def test_a_rule_does_not_hold_for_anything_else(rule: str) -> None:
    assert not parse_rule(rule).holds(CLAIMS)


@pytest.mark.parametrize("rule", HOLD + FAIL)
def test_no_rule_holds_for_a_token_that_says_nothing(rule: str) -> None:
    assert not parse_rule(rule).holds({})


@pytest.mark.parametrize(
    ("rule", "said"),
    [
        ("", "is no rule"),
        ("role == 1", "is no rule"),
        ("claims == 1", "is no rule"),
        ("claims. == 1", "is no rule"),
        ("claims.role", "is no rule"),
        ('claims.role != "admin"', "is no rule"),
        ('claims.role = "admin"', "is no rule"),
        ('claims.role inside "admin"', "is no rule"),
        ('claims..role == "admin"', "is no rule"),
        ('claims["role" == "admin"', "is no rule"),
        ("claims.role == admin", "not JSON"),
        ("claims.role == 'admin'", "not JSON"),
        ("claims.level == NaN", "not JSON"),
        ('claims.role == "admin" and claims.level == 1', "not JSON"),
        ("claims.level == " + "[" * 10_000, "not JSON"),
        ("claims.role == null", "something else"),
        ("claims.role in []", "something else"),
        ('claims.role in [["admin"]]', "something else"),
        ('claims.role == {"a": 1}', "something else"),
        ('claims.role in "admin"', "takes one value"),
        ('claims.role == ["admin"]', "takes one value"),
    ],
)
def test_what_is_no_rule_is_refused_with_the_reason(rule: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        parse_rule(rule)


@pytest.mark.parametrize(
    ("rule", "scope"),
    [
        ('claims.scope contains ["read", "write:all"]', "read write:all"),
        ('claims.scp == "read"', "read"),
        ('claims.role == "admin"', ""),
        ('claims.scope contains ["a\\"b", "c d", "e\\r\\nf", 7, "ok"]', "ok"),
    ],
)
def test_the_scope_told_is_what_may_stand_in_a_challenge(rule: str, scope: str) -> None:
    assert parse_rule(rule).scope == scope


@given(st.text(max_size=60))
def test_no_text_raises_anything_but_value_error(text: str) -> None:
    for rule in (text, "claims." + text, "claims.a == " + text, "claims.a contains " + text):
        try:
            parse_rule(rule).holds(CLAIMS)
        except ValueError:
            continue
