"""The bridge changes nothing of what is asked and answered but the protocol."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.conformance.bridge import Bridge
from tests.support.client import RawClient
from tests.support.inprocess import InProcessEdge
from tests.support.origin import Hang, RecordedRequest, Script, answer
from tests.support.site import Site, config, request

# What differs from one exchange to the next, and what frames a message in HTTP/1.1. Via tells by what a request came.
OWN = {b"age", b"connection", b"date", b"transfer-encoding", b"x-request-id"}
COOKIES = (
    b"Set-Cookie: a=1",
    b"Set-Cookie: b=2",
    b"X-Twice: 1",
    b"X-Twice: 2",
    b"Cache-Control: max-age=60",
    b'ETag: "1"',
)
NO_STORE = b"HTTP/1.1 200 OK\r\nCache-Control: no-store\r\n"
CHUNKED = NO_STORE + b"Transfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n4\r\ndefg\r\n0\r\n\r\n"


@pytest.fixture(scope="module")
def ways() -> Iterator[tuple[Site, tuple[str, int], tuple[str, int]]]:
    """The origin, the proxy, and the bridge before it."""
    with Site() as site:
        listeners = [{"address": "127.0.0.1:1", "protocols": ["h1", "h2"]}]
        with InProcessEdge(config(site.url, listeners=listeners)) as edge, Bridge("h2", edge.port) as bridge:
            port = urlsplit(bridge.url).port
            assert port is not None
            yield site, edge.address, ("127.0.0.1", port)
            assert edge.faults == []


def told(address: tuple[str, int], sent: bytes, method: bytes) -> tuple[object, ...]:
    with RawClient(address) as client:
        client.send(sent)
        answers = client.answers(1, (method,))
    (final,) = answers.final
    fields = sorted(field for field in final.fields if field[0] not in OWN)
    return [(one.status, one.fields) for one in answers.interim], final.status, fields, final.body


@pytest.mark.parametrize(
    ("method", "fields", "body", "says"),
    [
        (b"GET", (), b"", answer(200, b"a body", *COOKIES)),
        (b"HEAD", (), b"", answer(200, b"a body", *COOKIES).partition(b"\r\n\r\n")[0] + b"\r\n\r\n"),
        (b"GET", (), b"", CHUNKED),
        (b"GET", (b'If-None-Match: "1"',), b"", b'HTTP/1.1 304 Not Modified\r\nETag: "1"\r\n\r\n'),
        (
            b"GET",
            (b"Cookie: a=1; b=2", b"Cache-Control: no-cache", b"Connection: close, x-mine", b"X-Mine: 1"),
            b"",
            CHUNKED,
        ),
        (b"POST", (b"Content-Length: 5",), b"hello", answer(201, b"made", b"Location: /x")),
        (b"GET", (), b"", b"HTTP/1.1 103 Early Hints\r\nLink: </a>; rel=preload\r\n\r\n" + CHUNKED),
        (b"GET", (), b"", b"HTTP/1.1 204 No Content\r\n\r\n"),
        (b"GET", (), b"", b"HTTP/1.1 499 Odd\r\nContent-Length: 0\r\n\r\n"),
    ],
)
def test_an_answer_is_the_same_either_way(
    ways: tuple[Site, tuple[str, int], tuple[str, int]],
    method: bytes,
    fields: tuple[bytes, ...],
    body: bytes,
    says: bytes,
) -> None:
    site, direct, bridged = ways
    seen: list[tuple[object, ...]] = []
    for address in (direct, bridged):
        target = site.on(b"/%d" % len(site.requests), says)
        seen.append(told(address, request(target, *fields, method=method) + body, method))
        (asked,) = site.to(target)
        seen.append((sorted(field for field in asked.fields if field[0] not in {b"via", b"x-request-id"}), asked.body))
    assert seen[0] == seen[2]
    assert seen[1] == seen[3]


def test_an_answer_that_breaks_off_breaks_off(ways: tuple[Site, tuple[str, int], tuple[str, int]]) -> None:
    site, _, bridged = ways

    def half(_: RecordedRequest) -> Script:
        yield b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\nCache-Control: no-store\r\n\r\n12345"
        yield Hang.RESET

    with RawClient(bridged) as client:
        client.send(request(site.on(b"/half", half)))
        client.read_to_close()
        assert client.closed
        assert client.received.endswith(b"12345") or not client.received
