"""What claims grant, and how they stand in fields."""

from __future__ import annotations

from typing import Any

import pytest

from edgeproxy.jose.claims import claim, field_value, grants


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("sub", "alice"),
        ("realm_access.roles", ["admin"]),
        ("https://a.example/role", "dev"),
        ("realm_access.none", None),
        ("sub.length", None),
        ("nothing", None),
    ],
)
def test_a_claim_is_found_by_name_or_by_path(name: str, value: Any) -> None:
    claims = {"sub": "alice", "realm_access": {"roles": ["admin"]}, "https://a.example/role": "dev"}
    assert claim(claims, name) == value


@pytest.mark.parametrize(
    ("value", "name", "granted"),
    [
        ("admin", "role", True),
        (["user", "admin"], "role", True),
        ("administrator", "role", False),
        ("user admin", "role", False),
        ("user admin", "scope", True),
        ("user administrator", "scope", False),
        ({"admin": True}, "role", False),
        ([["admin"]], "role", False),
        (None, "role", False),
    ],
)
def test_a_claim_grants_what_it_is_or_lists(value: Any, name: str, granted: bool) -> None:
    assert grants(value, name, ("admin",)) is granted


def test_true_one_and_their_texts_are_three_things() -> None:
    assert [grants(value, "v", (True,)) for value in (True, 1, "true", 1.0)] == [True, False, False, False]
    assert [grants(value, "v", (1,)) for value in (True, 1, "1", 1.0)] == [False, True, False, False]


@pytest.mark.parametrize(
    ("value", "field"),
    [
        ("alice", b"alice"),
        ("Zoë", "Zoë".encode()),
        (7, b"7"),
        (True, b"true"),
        (["a", "b"], b"a,b"),
        ("a\r\nx-admin: 1", None),
        ("a\0", None),
        ("a\x7f", None),
        (" admin", None),
        ("admin ", None),
        ("", None),
        ("\u2028", None),
        ("\ud800", None),
        ("x" * 1025, None),
        (["a,b"], None),
        (["a", ""], None),
        (["a", 7], None),
        ([], None),
        ({"a": 1}, None),
        (None, None),
    ],
)
def test_a_value_that_cannot_stand_in_a_field_unchanged_is_left_out(value: Any, field: bytes | None) -> None:
    assert field_value(value) == field
