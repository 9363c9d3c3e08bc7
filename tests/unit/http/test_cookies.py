"""Reading one cookie out of the Cookie field."""

from __future__ import annotations

import pytest

from edgeproxy.http.cookies import cookie


@pytest.mark.parametrize(
    ("field", "value"),
    [
        (b"a=1; token=abc", b"abc"),
        (b'token="abc"', b"abc"),
        (b"token=a=b==", b"a=b=="),
        (b"token=", b""),
        (b"xtoken=no; token=yes", b"yes"),
        (b"token=first; token=second", b"first"),
        (b"token", None),
        (b"Token=no", None),
        (b"", None),
    ],
)
def test_the_first_cookie_of_exactly_that_name_is_read(field: bytes, value: bytes | None) -> None:
    assert cookie(field, b"token") == value
