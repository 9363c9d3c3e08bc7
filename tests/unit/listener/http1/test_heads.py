"""Response heads: exactly the framing the request and the status allow."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from edgeproxy.http.message import FieldBlock, Request, Response
from edgeproxy.listener.http1.heads import COPIED, interim, streamed, switching, whole

NOW = 1_800_000_000.0


def wall() -> float:
    return NOW


def written(request: Request, response: Response, body: bytes, wall: Callable[[], float], keep_alive: bool) -> bytes:
    return b"".join(whole(request, response, body, wall, keep_alive))


DATE = b"date: Fri, 15 Jan 2027 08:00:00 GMT\r\n"


def request(method: bytes = b"GET", version: bytes = b"1.1") -> Request:
    return Request(method, b"/", {}, version=version)


def test_a_whole_answer_has_its_length_and_a_date() -> None:
    assert written(request(), Response(200, {b"x": b"1"}), b"body", wall, True) == (
        b"HTTP/1.1 200 OK\r\nx: 1\r\n" + DATE + b"content-length: 4\r\n\r\nbody"
    )


def test_the_origins_date_stays_and_its_length_does_not() -> None:
    response = Response(200, {b"date": b"then", b"content-length": b"99"})
    assert (
        written(request(), response, b"", wall, True) == b"HTTP/1.1 200 OK\r\ndate: then\r\ncontent-length: 0\r\n\r\n"
    )


def test_stored_fields_go_out_as_they_are_and_stay_unchanged() -> None:
    stored = FieldBlock({b"date": b"then", b"content-length": b"99"})
    sent = written(request(), Response(200, {b"age": b"3"}, shared=stored), b"ab", wall, True)
    assert sent.count(b"content-length: ") == 1
    assert sent.endswith(b"age: 3\r\ncontent-length: 2\r\n\r\nab")
    assert stored.fields[b"content-length"] == b"99"


@pytest.mark.parametrize(
    ("version", "keep_alive", "line"),
    [
        (b"1.1", True, b""),
        (b"1.1", False, b"connection: close\r\n"),
        (b"1.0", True, b"connection: keep-alive\r\n"),
        (b"1.0", False, b"connection: close\r\n"),
    ],
)
def test_connection_says_what_the_version_does_not_imply(version: bytes, keep_alive: bool, line: bytes) -> None:
    for head in (
        written(request(version=version), Response(200), b"", wall, keep_alive),
        written(request(b"HEAD", version), Response(200), b"", wall, keep_alive),
        streamed(request(version=version), Response(200), 3, wall, keep_alive)[0],
    ):
        assert head.count(b"connection: ") == (1 if line else 0)
        assert line in head


@pytest.mark.parametrize("status", [204, 304])
def test_an_answer_without_a_body_has_none_of_its_bytes(status: int) -> None:
    sent = written(request(), Response(status), b"", wall, True)
    assert sent.endswith(b"\r\n\r\n")
    assert b"content-length" not in sent


def test_a_204_has_no_length_and_a_304_the_one_its_200_would_have() -> None:
    """RFC 9110 §8.6."""
    sent = [written(request(), Response(one, {b"content-length": b"5"}), b"", wall, True) for one in (204, 304)]
    assert [b"content-length: 5\r\n" in head for head in sent] == [False, True]


@pytest.mark.parametrize(
    ("fields", "body", "length"),
    [
        ({b"content-length": b"7"}, b"", b"content-length: 7\r\n"),
        ({}, b"hello", b"content-length: 5\r\n"),
        ({}, b"", b""),
    ],
)
def test_head_tells_the_length_a_get_would_have_had(fields: dict[bytes, bytes], body: bytes, length: bytes) -> None:
    sent = written(request(b"HEAD"), Response(200, fields), body, wall, True)
    assert sent == b"HTTP/1.1 200 OK\r\n" + DATE + length + b"\r\n"


@pytest.mark.parametrize(
    ("version", "length", "framing", "chunked"),
    [
        (b"1.1", 5, b"content-length: 5\r\n", False),
        (b"1.1", None, b"transfer-encoding: chunked\r\n", True),
        (b"1.0", None, b"", False),
        (b"1.0", 5, b"content-length: 5\r\n", False),
    ],
)
def test_a_streamed_body_is_framed_as_the_client_can_read_it(
    version: bytes, length: int | None, framing: bytes, chunked: bool
) -> None:
    response = Response(200, {b"content-length": b"99"})
    head, in_chunks = streamed(request(version=version), response, length, wall, True)
    assert in_chunks is chunked
    assert head.endswith(framing + b"\r\n")
    assert (head.count(b"content-length"), head.count(b"transfer-encoding")) == (
        framing.count(b"content-length"),
        framing.count(b"transfer-encoding"),
    )


def test_a_status_without_a_name_has_an_empty_reason() -> None:
    """RFC 9112 §4: the space before the reason stays."""
    assert written(request(), Response(599), b"", wall, True).startswith(b"HTTP/1.1 599 \r\n")


def test_switching_protocols_keeps_the_origins_connection_and_upgrade() -> None:
    head = switching(Response(101, {b"connection": b"Upgrade", b"upgrade": b"websocket"}))
    assert head == b"HTTP/1.1 101 Switching Protocols\r\nconnection: Upgrade\r\nupgrade: websocket\r\n\r\n"


def test_a_large_body_is_handed_over_and_not_copied() -> None:
    body = b"x" * (COPIED + 1)
    head, rest = whole(request(), Response(200), body, wall, True)
    assert rest is body
    assert head.endswith(b"content-length: %d\r\n\r\n" % len(body))
    assert whole(request(), Response(200), body[:-1], wall, True)[1] == b""


def test_interim_answers_have_no_more_than_they_were_given() -> None:
    assert interim(102, {}) == b"HTTP/1.1 102 Processing\r\n\r\n"
    assert interim(103, {b"link": b"</a>"}) == b"HTTP/1.1 103 Early Hints\r\nlink: </a>\r\n\r\n"
    assert interim(199, {}) == b"HTTP/1.1 199 \r\n\r\n"
