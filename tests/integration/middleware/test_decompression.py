"""Compressed request bodies at a running node: what the origin gets, and what becomes of those that are refused."""

from __future__ import annotations

import gzip
import random
import zlib
from collections.abc import Callable, Iterator
from itertools import count

import brotli
import pytest
import zstandard

from tests.support.client import Answer, RawClient, ask
from tests.support.origin import RecordedRequest
from tests.support.ports import free_port, wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, request

NOISE = random.Random(1).randbytes(400_000).hex().encode()
LINE = b'{"station": 12, "level": 3.7}\n'
TINY_BROTLI = bytes.fromhex("cfffff7ff82700e2b14020f7fe9ffffffff04f00c4610180eefd7ffec1ebe39f0088c322001d747d")

PACK: dict[bytes, Callable[[bytes], bytes]] = {
    b"gzip": gzip.compress,
    b"deflate": zlib.compress,
    b"br": lambda data: bytes(brotli.compress(data, quality=5)),
    b"zstd": zstandard.compress,
}
each_coding = pytest.mark.parametrize("coding", list(PACK))


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    """Everything goes to the site; below /as-it-is/ without the stage, below /dead/ to an origin that is not there."""
    routes = [
        {"name": "as-it-is", "match": {"path": "/as-it-is/"}, "pool": "site", "middleware": {"decompression": False}},
        {"name": "dead", "match": {"path": "/dead/"}, "pool": "dead"},
        {"name": "all", "pool": "site"},
    ]
    pools = {"site": {"endpoints": [site.url]}, "dead": {"endpoints": [f"http://127.0.0.1:{free_port()}"]}}
    with EdgeProcess({"middleware": {"decompression": {"max_size": "2MB"}}, "pools": pools, "routes": routes}) as edge:
        yield edge
        assert "Traceback" not in edge.logs()
        assert "internal error" not in edge.logs()


class Asked:
    """What a test asks for: a target of its own, since the origin may hear late of what an earlier one broke off."""

    numbers = count()
    target = b""


@pytest.fixture(autouse=True)
def _fresh(site: Site) -> None:
    site.clear()
    Asked.target = b"/in/%d" % next(Asked.numbers)


def post(coding: bytes, body: bytes, *fields: bytes, below: bytes = b"") -> bytes:
    length = b"Content-Length: %d" % len(body)
    return request(below + Asked.target, b"Content-Encoding: " + coding, length, *fields, method=b"POST") + body


def chunked(coding: bytes, *fields: bytes) -> bytes:
    """The head of a request whose body comes in chunks."""
    told = (b"Content-Encoding: " + coding, b"Transfer-Encoding: chunked")
    return request(Asked.target, *told, *fields, method=b"POST")


def chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


def only(edge: EdgeProcess, raw: bytes) -> Answer:
    return ask(edge.address, raw).final[0]


def seen(site: Site, below: bytes = b"") -> RecordedRequest:
    (request,) = site.to(below + Asked.target)
    return request


def whole(site: Site) -> list[RecordedRequest]:
    """Those that the origin was sent to their end."""
    return [request for request in site.to(Asked.target) if request.complete]


def arrived(site: Site) -> int:
    """Bytes that the origin got on the connection of this test's request."""
    return sum(len(site.connections[request.connection]) for request in site.to(Asked.target))


@each_coding
def test_the_origin_gets_a_short_body_unpacked_with_its_length(edge: EdgeProcess, site: Site, coding: bytes) -> None:
    assert only(edge, post(coding, PACK[coding](LINE * 100), b"Content-Type: application/json")).status == 200
    got = seen(site)
    assert got.body == LINE * 100
    assert got.get(b"content-encoding") is None
    assert got.get(b"content-type") == b"application/json"
    assert got.all(b"content-length") == [b"3000"]


@each_coding
def test_the_origin_gets_a_long_body_unpacked_in_chunks(edge: EdgeProcess, site: Site, coding: bytes) -> None:
    assert only(edge, post(coding, PACK[coding](NOISE))).status == 200
    got = seen(site)
    assert got.body == NOISE
    assert got.complete
    assert (got.get(b"transfer-encoding"), got.get(b"content-length")) == (b"chunked", None)


@each_coding
def test_a_slow_body_reaches_the_origin_as_it_comes(edge: EdgeProcess, site: Site, coding: bytes) -> None:
    packed = PACK[coding](NOISE)
    pieces = [packed[at : at + 150_000] for at in range(0, len(packed), 150_000)]
    with RawClient(edge.address) as client:
        client.send(chunked(coding))
        for number, piece in enumerate(pieces):
            client.send(chunk(piece))
            wait_until(lambda: arrived(site) > 50_000 * (number + 1), "the origin got a part")  # noqa: B023
        client.send(b"0\r\n\r\n")
        assert client.answers(1, (b"POST",)).final[0].status == 200
    assert seen(site).body == NOISE


@each_coding
def test_a_client_that_waits_to_be_told_is_told(edge: EdgeProcess, site: Site, coding: bytes) -> None:
    body = PACK[coding](LINE)
    with RawClient(edge.address) as client:
        client.send(post(coding, body, b"Expect: 100-continue").removesuffix(body))
        client.read_until(lambda received: b"\r\n\r\n" in received)
        assert client.received.startswith(b"HTTP/1.1 100 ")
        client.send(body)
        assert client.answers(1, (b"POST",)).final[0].status == 200
    assert seen(site).body == LINE


def bombs() -> dict[bytes, bytes]:
    packer = zstandard.ZstdCompressor(level=19).compressobj()
    zeros = bytes(20_000_000)
    return {
        b"gzip": gzip.compress(zeros, 9),
        b"deflate": zlib.compress(zeros, 9),
        b"br": TINY_BROTLI,
        b"zstd": packer.compress(zeros) + packer.flush(),
    }


BOMBS = bombs()


@each_coding
def test_a_bomb_is_refused_and_never_whole_at_the_origin(edge: EdgeProcess, site: Site, coding: bytes) -> None:
    refused = only(edge, post(coding, BOMBS[coding]))
    assert refused.status == 413
    assert refused.body.startswith(b"413 The request body is too large. It unpacks to ")
    assert refused.get(b"cache-control") == b"no-store"
    assert not whole(site)
    assert arrived(site) < 2_200_000


@each_coding
def test_a_bomb_behind_an_honest_beginning_ends_the_origins_connection(
    edge: EdgeProcess, site: Site, coding: bytes
) -> None:
    """By then the origin has a part of the request: it must not take that for all of it."""
    honest = {b"gzip": gzip.compress, b"zstd": zstandard.compress}
    if coding in honest:
        first, rest = honest[coding](NOISE), BOMBS[coding]
    else:  # one stream has to hold both
        packed = PACK[coding](NOISE + bytes(20_000_000))
        first, rest = packed[:400_000], packed[400_000:]
    with RawClient(edge.address) as client:
        client.send(chunked(coding), chunk(first))
        wait_until(lambda: arrived(site) > 300_000, "the origin got the beginning")
        client.send(chunk(rest) + b"0\r\n\r\n" + request(b"/next"))
        answers = client.answers(2, (b"POST", b"GET"))
    assert [answer.status for answer in answers.final] in ([413], [413, 200])
    wait_until(site.aborted.is_set, "the origin's connection is closed")
    assert not whole(site)
    assert only(edge, post(coding, PACK[coding](LINE))).status == 200
    assert [request.body for request in whole(site)] == [LINE]


@each_coding
@pytest.mark.parametrize("length", ["short", "long"])
def test_what_breaks_off_or_is_damaged_is_a_bad_request(
    edge: EdgeProcess, site: Site, coding: bytes, length: str
) -> None:
    packed = PACK[coding](LINE if length == "short" else NOISE)
    damaged = bytearray(packed)
    damaged[: len(packed) // 2] = bytes(len(packed) // 2)
    for body in (packed[:-1], packed[: len(packed) // 2], packed + b"behind", bytes(damaged)):
        refused = only(edge, post(coding, body))
        assert refused.status == 400
        assert refused.body.startswith(b"400 The request is malformed. Its content is ")
    assert not whole(site)


def test_a_window_of_gigabytes_is_refused(edge: EdgeProcess, site: Site) -> None:
    head = b"\x28\xb5\x2f\xfd" + bytes([0, (31 - 10) << 3])
    assert only(edge, post(b"zstd", head + bytes(1000))).status == 413
    assert site.to(Asked.target) == []


def test_requests_behind_one_that_is_refused_are_answered(edge: EdgeProcess, site: Site) -> None:
    """The refused body was read to its end: what follows on the connection is the next request, and nothing else."""
    with RawClient(edge.address) as client:
        client.send(
            post(b"gzip", gzip.compress(LINE)[:-1])
            + post(b"br", TINY_BROTLI)
            + post(b"compress", b"GET /smuggled HTTP/1.1\r\nHost: a.example\r\n\r\n")
            + post(b"gzip", gzip.compress(LINE))
            + request(b"/last")
        )
        answers = client.answers(5, (b"POST", b"POST", b"POST", b"POST", b"GET"))
    assert [answer.status for answer in answers.final] == [400, 413, 415, 200, 200]
    assert [request.body for request in whole(site)] == [LINE]
    assert not site.to(b"/smuggled")
    assert len(site.to(b"/last")) == 1


def test_a_coding_that_is_not_taken_is_refused_before_the_body_is_asked_for(edge: EdgeProcess, site: Site) -> None:
    with RawClient(edge.address) as client:
        client.send(chunked(b"exi", b"Expect: 100-continue"))
        refused = client.answers(1, (b"POST",))
        client.read_to_close()
    assert refused.interim == []
    assert refused.final[0].status == 415
    assert refused.final[0].get(b"accept-encoding") == b"gzip, deflate, br, zstd"
    assert client.closed
    assert site.to(Asked.target) == []


def test_a_client_that_was_not_told_to_send_is_not_read_on(edge: EdgeProcess) -> None:
    """No origin could be asked, so the body was never asked for: what such a client sends next is no body."""
    told = (b"Content-Encoding: gzip", b"Content-Length: 50", b"Expect: 100-continue")
    with RawClient(edge.address) as client:
        client.send(request(b"/dead/", *told, method=b"POST"))
        assert client.answers(1, (b"POST",)).final[0].status == 502
        client.read_to_close()
        assert client.closed


def test_without_the_stage_a_packed_body_passes_untouched(edge: EdgeProcess, site: Site) -> None:
    for coding, packed in ((b"gzip", gzip.compress(LINE)), (b"exi", b"\0\1\2"), (b"gzip", b"not so")):
        site.clear()
        assert only(edge, post(coding, packed, below=b"/as-it-is")).status == 200
        got = seen(site, b"/as-it-is")
        assert got.body == packed
        assert got.all(b"content-encoding") == [coding]
        assert got.all(b"content-length") == [b"%d" % len(packed)]


def test_nothing_is_left_in_work(edge: EdgeProcess) -> None:
    """Also of those that were refused or broken off above."""
    with RawClient(edge.address) as client:
        client.send(chunked(b"gzip"), chunk(gzip.compress(NOISE)[:1000]))
        client.reset()
    wait_until(lambda: b"\nedgeproxy_unpacking 0.0\n" in edge.admin("/metrics")[1], "no body is in work")
