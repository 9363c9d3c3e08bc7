"""Claims by name or path, and how they stand in fields."""

from __future__ import annotations

from typing import Any

import pytest

from edgeproxy.jose.claims import claim, field_value


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
