"""Claims by name or path, and how they stand in header fields."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_MAX_FIELD = 1024


def claim(claims: Mapping[str, Any], name: str) -> Any:
    """The claim of that name, or what ``realm_access.roles`` leads to; None if there is none."""
    if name in claims:
        return claims[name]
    value: Any = claims
    for part in name.split("."):
        if not isinstance(value, Mapping) or part not in value:
            return None
        value = value[part]
    return value


def field_value(value: Any) -> bytes | None:
    """A claim's value as a field's value; None if it cannot stand there exactly as it is.

    Nothing is repaired: `` admin`` or ``admin\\r`` must not reach the origin as ``admin``.
    """
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, int | float):
        return str(value).encode()
    if isinstance(value, list):
        if not value or not all(
            isinstance(one, str) and one and one == one.strip() and "," not in one for one in value
        ):
            return None
        value = ",".join(value)
    if not isinstance(value, str) or not value or value != value.strip() or not value.isprintable():
        return None
    try:
        encoded = value.encode()
    except UnicodeEncodeError:  # half a surrogate pair
        return None
    return encoded if len(encoded) <= _MAX_FIELD else None
