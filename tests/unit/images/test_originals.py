"""The picture a variant is made of."""

from __future__ import annotations

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body, Pipe
from edgeproxy.http.message import Response
from edgeproxy.images.originals import close, is_personal, original_request, read, unfit
from tests.support.stages import exchange


def picture(body: bytes | Body = b"body", **fields: bytes) -> Response:
    headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return Response(200, {b"content-type": b"image/jpeg"} | headers, body)


def test_it_is_asked_for_by_get_and_in_nobodys_name() -> None:
    fields = {
        b"host": b"a.test",
        b"cookie": b"a=1",
        b"range": b"bytes=0-1",
        b"if-none-match": b'"1"',
        b"accept": b"x/y",
    }
    request = original_request(exchange(b"/a.jpg?v=1", fields, method=b"HEAD", authority=b"a.test").request)
    assert (request.method, request.target, request.query, request.authority) == (
        b"GET",
        b"/a.jpg?v=1",
        b"v=1",
        b"a.test",
    )
    assert request.headers == {b"host": b"a.test", b"accept": b"*/*"}


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (picture(), ""),
        (picture(content_type=b"Image/PNG; x=1"), ""),
        (picture(content_type=b"image/svg+xml"), "format"),
        (picture(content_type=b"text/html"), "format"),
        (picture(content_type=b""), "format"),
        (picture(content_encoding=b"gzip"), "format"),
        (picture(cache_control=b"max-age=1, No-Transform"), "no-transform"),
        (picture(cache_control=b'x="no-transform"'), ""),
        (picture(b"x" * 11), "bytes"),
        (picture(Pipe(11)), "bytes"),
        (picture(Pipe(10)), ""),
        (picture(Pipe()), ""),
    ],
)
def test_whether_anything_may_be_made_of_it(response: Response, reason: str) -> None:
    assert unfit(response, 10) == reason


async def test_a_body_is_read_whole() -> None:
    pipe = Pipe()
    pipe.feed(b"12345")
    pipe.feed(b"67890")
    pipe.finish()
    assert await read(pipe, 10) == b"1234567890"
    assert await read(b"1234", 10) == b"1234"


async def test_of_one_that_proves_too_large_nothing_is_lost() -> None:
    pipe = Pipe()
    pipe.feed(b"12345678901")
    body = await read(pipe, 10)
    assert isinstance(body, Body)
    pipe.feed(b"234")
    pipe.finish()
    assert [await body.read(), await body.read(), await body.read()] == [b"12345678901", b"234", b""]


async def test_one_that_breaks_off_is_closed() -> None:
    pipe = Pipe()
    pipe.fail(EdgeError(Kind.RESPONSE_INCOMPLETE, "origin"))
    with pytest.raises(EdgeError):
        await read(pipe, 10)
    assert pipe.closed


@pytest.mark.parametrize(
    ("response", "headers", "personal"),
    [
        (picture(), {b"cookie": b"a=1", b"authorization": b"x"}, False),
        (Response(401), {}, True),
        (Response(403), {}, True),
        (Response(404), {b"cookie": b"a=1"}, False),
        (picture(cache_control=b"private"), {}, True),
        (picture(cache_control=b'private="set-cookie"'), {}, False),
        (picture(vary=b"Accept, Cookie"), {b"cookie": b"a=1"}, True),
        (picture(vary=b"Accept, Cookie"), {b"authorization": b"x"}, False),
        (picture(vary=b"authorization"), {b"authorization": b"x"}, True),
    ],
)
def test_whether_the_client_may_be_given_something_else(
    response: Response, headers: dict[bytes, bytes], personal: bool
) -> None:
    assert is_personal(response, headers) is personal


def test_a_body_that_nobody_reads_is_closed() -> None:
    pipe = Pipe()
    close(picture(pipe))
    close(picture())
    assert pipe.closed
