"""Keys by a route's recipe, from the wire: what is shared, what is not, and what a purge by URL finds."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from edgeproxy.cache.purge import named
from tests.support.client import ask
from tests.support.inprocess import InProcessEdge
from tests.support.origin import RecordedRequest, RecordingOrigin, answer
from tests.support.site import config

KEY = {
    "scheme": False,
    "hosts": ["www.a.example", "a.example"],
    "query": {"tracking": "drop", "sort": True},
    "cookies": ["lang"],
    "device": True,
}
PHONE = b"User-Agent: Mozilla/5.0 (Linux; Android 10; K) AppleWebKit/537.36 Chrome/140.0.0.0 Mobile Safari/537.36"


def told(request: RecordedRequest) -> bytes:
    return answer(200, request.target, b"Cache-Control: max-age=600")


@pytest.fixture
def origin() -> Iterator[RecordingOrigin]:
    with RecordingOrigin(told) as origin:
        yield origin


@pytest.fixture
def edge(origin: RecordingOrigin) -> Iterator[InProcessEdge]:
    stages: dict[str, Any] = {"bot_check": False, "client_address": {"forwarded": True}, "cache": {"key": KEY}}
    with InProcessEdge(config(origin.url, middleware=stages)) as edge:
        yield edge
    assert not edge.faults


def get(
    edge: InProcessEdge, target: bytes, *fields: bytes, host: bytes = b"a.example", method: bytes = b"GET"
) -> bytes:
    """What Cache-Status says."""
    head = b"\r\n".join((b"%b %b HTTP/1.1" % (method, target), b"Host: " + host, b"Connection: close", *fields))
    return ask(edge.address, head + b"\r\n\r\n").final[0].get(b"cache-status") or b""


@pytest.mark.parametrize(
    ("target", "fields", "host", "hit"),
    [
        (b"/x?b=2&a=1", (), b"a.example", True),
        (b"/x?b=2&utm_source=mail&a=1", (), b"a.example", True),
        (b"/x?a=1&b=2", (), b"www.a.example", True),
        (b"/x?a=1&b=2", (b"Cookie: id=7",), b"a.example", True),
        (b"/x?a=1&b=2", (), b"b.example", False),
        (b"/x?a=1&b=3", (), b"a.example", False),
        (b"/x?a=1&b=2", (b"Cookie: lang=de",), b"a.example", False),
        (b"/x?a=1&b=2", (PHONE,), b"a.example", False),
    ],
)
def test_what_the_recipe_takes_tells_requests_apart_and_nothing_else(
    edge: InProcessEdge, target: bytes, fields: tuple[bytes, ...], host: bytes, hit: bool
) -> None:
    get(edge, b"/x?a=1&b=2")
    assert (get(edge, target, *fields, host=host) == b"edgeproxy; hit") is hit


@pytest.mark.parametrize(
    ("kind", "value"),
    [
        ("url", "http://a.example/x?b=2&utm_source=mail&a=1"),
        ("url", "https://www.a.example/x?a=1&b=2"),
        ("prefix", "http://a.example/x"),
        ("host", "a.example"),
        ("host", "www.a.example"),
    ],
)
def test_a_purge_finds_every_answer_a_client_would_have_been_given_for_it(
    edge: InProcessEdge, kind: str, value: str
) -> None:
    for fields in ((), (PHONE,), (b"Cookie: lang=de",)):
        get(edge, b"/x?a=1&b=2", *fields)
    get(edge, b"/x?a=1&b=2", host=b"b.example")

    async def purge() -> int:
        return edge.tiers.purge(named(kind, value, edge.clock.wall()))

    assert edge.run(purge()) == 3
    assert b"fwd" in get(edge, b"/x?a=1&b=2")
    assert get(edge, b"/x?a=1&b=2", host=b"b.example") == b"edgeproxy; hit"


def test_an_unsafe_request_invalidates_whatever_the_recipe_made_of_its_url(edge: InProcessEdge) -> None:
    get(edge, b"/x?a=1&b=2")
    get(edge, b"/x?b=2&a=1", b"Content-Length: 0", method=b"POST")
    assert b"fwd=uri-miss" in get(edge, b"/x?a=1&b=2")


@pytest.mark.parametrize("host", [b"a.example", b"www.a.example"])
def test_the_origin_is_asked_for_the_host_and_scheme_of_the_key(
    edge: InProcessEdge, origin: RecordingOrigin, host: bytes
) -> None:
    """Or else one client's host or scheme would be in links and redirects that all are given."""
    get(edge, b"/x", host=host)
    asked = origin.requests[0]
    assert asked.all(b"host") == [b"www.a.example"]
    assert asked.all(b"x-forwarded-host") == [b"www.a.example"]
    assert asked.all(b"x-forwarded-proto") == [b"https"]
    assert asked.all(b"forwarded") == [b"for=127.0.0.1;proto=https;host=www.a.example"]


def test_what_is_revalidated_is_asked_for_as_the_key_has_it(edge: InProcessEdge, origin: RecordingOrigin) -> None:
    get(edge, b"/x?a=1&b=2")
    get(edge, b"/x?b=2&fbclid=7&a=1", b"Cache-Control: no-cache")
    assert [request.target for request in origin.requests] == [b"/x?a=1&b=2"] * 2


def test_what_is_not_kept_goes_on_as_it_was_sent(edge: InProcessEdge, origin: RecordingOrigin) -> None:
    get(edge, b"/x?b=2&utm_source=mail&a=1", b"Content-Length: 0", method=b"POST")
    assert origin.requests[0].target == b"/x?b=2&utm_source=mail&a=1"
