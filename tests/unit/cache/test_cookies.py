"""Which Set-Cookie fields could tell users apart."""

from __future__ import annotations

import pytest

from edgeproxy.cache.cookies import tells_nobody


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        (b"lang=en; Path=/; Max-Age=31536000", True),
        (b'cur="EUR"', True),
        (b"seen=", True),
        (b"a=b\nlang=de", True),
        (b"session=3f2a91bc", False),
        (b"lang=en\nsession=3f2a91bc; HttpOnly", False),
        (b"id=12345", False),
        (b"nameless-token", False),
        (b"a=b=c=d", False),
        (b"", True),
    ],
)
def test_only_short_values_tell_nobody(field: bytes, expected: bool) -> None:
    assert tells_nobody(field) is expected
