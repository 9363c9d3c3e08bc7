"""The Cookie field (RFC 6265 §4.2.1)."""

from __future__ import annotations


def cookie(field: bytes, name: bytes) -> bytes | None:
    """The value of the first cookie of that name, without the quotes it may stand in."""
    for pair in field.split(b";"):
        key, equals, value = pair.strip(b" \t").partition(b"=")
        if equals and key == name:
            return value[1:-1] if len(value) > 1 and value[:1] == value[-1:] == b'"' else value
    return None
