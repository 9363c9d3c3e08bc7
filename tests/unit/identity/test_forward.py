"""The question a service is asked: made of any request, or refused."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.identity.forward import question
from tests.support.stages import exchange


@given(st.binary(max_size=60), st.binary(max_size=60))
def test_any_field_is_passed_on_as_it_is_or_not_at_all(cookie: bytes, target: bytes) -> None:
    x = exchange(b"/" + target, {b"cookie": cookie, b"authorization": b"Bearer t", b"x-other": b"o"})
    try:
        fields = question(x, (b"authorization", b"cookie", b"x-none"))
    except ValueError:
        return
    assert fields.pop("cookie").encode() == cookie
    assert fields.pop("x-forwarded-uri").encode() == b"/" + target
    assert fields == {
        "x-forwarded-method": "GET",
        "x-forwarded-proto": "http",
        "x-forwarded-host": "www.example.com",
        "x-forwarded-for": "192.0.2.7",
        "authorization": "Bearer t",
    }


def test_who_comes_over_a_unix_socket_has_no_address_to_tell() -> None:
    x = exchange(client="")
    x.id = b"id-1"
    assert "x-forwarded-for" not in question(x, ())
    assert question(x, ())["x-request-id"] == "id-1"
