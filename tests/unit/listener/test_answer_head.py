"""Answers before a version of HTTP writes them: whether a body follows, the date, the length that framing writes."""

from __future__ import annotations

import pytest

from edgeproxy.http.message import FieldBlock, Request, Response
from edgeproxy.listener.answer_head import has_body, settle

DATE = b"Fri, 15 Jan 2027 08:00:00 GMT"


def wall() -> float:
    return 1_800_000_000.0


@pytest.mark.parametrize(
    ("method", "status", "expected"),
    [
        (b"GET", 200, True),
        (b"POST", 500, True),
        (b"HEAD", 200, False),
        (b"GET", 204, False),
        (b"GET", 304, False),
        (b"GET", 101, False),
    ],
)
def test_whether_an_answer_has_a_body_at_all(method: bytes, status: int, expected: bool) -> None:
    assert has_body(Request(method, b"/", {}), status) is expected


def test_an_answer_without_a_date_gets_one_and_another_keeps_its_own() -> None:
    """RFC 9110 §6.6.1."""
    stored = FieldBlock({b"date": b"then"})
    for response, date in (
        (Response(200), DATE),
        (Response(200, {b"date": b"then"}), b"then"),
        (Response(200, shared=stored), b"then"),
    ):
        settle(response, wall)
        assert response.get(b"date") == date


def test_the_length_is_taken_out_and_told() -> None:
    stored = FieldBlock({b"date": b"then", b"content-length": b"9"})
    for response in (Response(200, {b"content-length": b"9"}), Response(200, shared=stored)):
        assert settle(response, wall) == b"9"
        assert response.get(b"content-length") is None
    assert settle(Response(200), wall) is None
