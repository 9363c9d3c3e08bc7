"""HTTP/3 from clients, end to end: two clients' libraries, the real proxy, a real origin."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from edgeproxy.http3 import codes, qpack
from tests.conformance.http3.cases import frame
from tests.support.client import RawClient
from tests.support.http3 import Http3Site
from tests.support.origin import Hang, RecordedRequest, answer
from tests.support.quic import QuicClient, get
from tests.support.servers import wait_until
from tests.support.site import request as head

KEPT = b"Cache-Control: max-age=600"


@pytest.fixture(scope="module")
def site() -> Iterator[Http3Site]:
    limits = {"head_timeout": "1s", "body_timeout": "1s", "write_timeout": "1s", "idle_timeout": "20s"}
    with Http3Site(limits={**limits, "body_size": "3MB"}) as site:
        yield site


@pytest.fixture(params=["qh3", pytest.param("aioquic", marks=pytest.mark.slow)])
def client(site: Http3Site, request: pytest.FixtureRequest) -> Iterator[QuicClient]:
    with site.client(request.param) as client:
        yield client.connect()


def test_a_hit_is_answered_as_over_any_other_protocol(site: Http3Site, client: QuicClient) -> None:
    site.site.on(b"/hit", answer(200, b"kept" * 300, KEPT, b"Set-Cookie: a=b", b"X-Many: one", b"X-Many: two"))
    first, second = client.get(b"/hit"), client.get(b"/hit")
    assert first.status == second.status == 200
    assert first.body == second.body == b"kept" * 300
    assert second.head[b"content-length"] == b"1200"
    assert second.head[b"x-many"] == b"one, two"
    assert b"hit" in second.head[b"cache-status"]
    assert b"date" in second.head
    assert b"connection" not in second.head


def test_the_origin_sees_a_request_like_any_other(site: Http3Site, client: QuicClient) -> None:
    client.get(b"/seen?q=1", (b"cookie", b"a=b"), (b"cookie", b"c=d"), (b"x-own", b"1"))
    seen = site.site.to(b"/seen?q=1")[-1]
    assert seen.get(b"host") == b"localhost"
    assert seen.get(b"cookie") == b"a=b; c=d"
    assert seen.get(b"x-own") == b"1"
    assert b"3 " in (seen.get(b"via") or b"")
    assert seen.get(b"early-data") is None


@pytest.mark.slow
def test_a_large_answer_comes_whole_whether_kept_or_passed_on(site: Http3Site, client: QuicClient) -> None:
    body = bytes(range(256)) * 8_000
    site.site.on(b"/large", answer(200, body, KEPT))
    assert client.get(b"/large").body == body
    assert client.get(b"/large").body == body


def test_an_answer_without_a_length_ends_when_it_ends(site: Http3Site, client: QuicClient) -> None:
    head = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    site.site.on(b"/chunks", lambda _: [head, b"3\r\nabc\r\n", b"3\r\ndef\r\n", b"0\r\nx-sum: 1\r\n\r\n"])
    reply = client.get(b"/chunks")
    assert reply.body == b"abcdef"
    assert reply.trailers == {b"x-sum": b"1"}
    assert b"transfer-encoding" not in reply.head


def test_an_answer_that_breaks_off_is_broken_off(site: Http3Site, client: QuicClient) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n"
    site.site.on(b"/broken", lambda _: [head, b"half", Hang.RESET])
    assert client.get(b"/broken").code == codes.INTERNAL_ERROR
    assert client.get(b"/after").status == 200


def test_head_has_the_fields_of_get_and_no_body(site: Http3Site) -> None:
    site.site.on(b"/headed", answer(200, b"twelve bytes", KEPT))
    with site.client("qh3") as client:  # aioquic takes the length for a promise
        client.connect().get(b"/headed")
        reply = client.get(b"/headed", method=b"HEAD")
    assert (reply.status, reply.body, reply.head[b"content-length"]) == (200, b"", b"12")


def test_a_body_goes_to_the_origin_with_its_trailers(site: Http3Site, client: QuicClient) -> None:
    stream = client.ask(get(b"/up", method=b"POST"), b"one " * 100_000, end=False)
    client.http.send_headers(stream, [(b"x-sum", b"7")], end_stream=True)
    assert client.finish(stream).status == 200
    seen = site.site.to(b"/up")[-1]
    assert seen.body == b"one " * 100_000


def test_a_client_that_expects_to_be_asked_is(site: Http3Site, client: QuicClient) -> None:
    fields = [*get(b"/expect", method=b"POST"), (b"content-length", b"5"), (b"expect", b"100-continue")]
    stream = client.ask(fields, end=False)
    reply = client.replies[stream]
    client.until(lambda: bool(reply.interim), "100 Continue")
    client.http.send_data(stream, b"later", end_stream=True)
    assert client.finish(stream).status == 200
    assert site.site.to(b"/expect")[-1].body == b"later"


def test_a_body_that_is_too_large_is_refused_before_it_has_come(client: QuicClient) -> None:
    fields = [*get(b"/much", method=b"POST"), (b"content-length", b"4000000")]
    reply = client.finish(client.ask(fields, end=False))
    assert reply.status == 413


def test_a_body_that_grows_too_large_is_refused_too(client: QuicClient) -> None:
    reply = client.finish(client.ask(get(b"/grows", method=b"POST"), b"x" * 3_200_000, end=False))
    assert reply.status == 413


def test_interim_answers_pass(site: Http3Site, client: QuicClient) -> None:
    hints = b"HTTP/1.1 103 Early Hints\r\nLink: </a.css>; rel=preload\r\n\r\n"
    site.site.on(b"/hinted", lambda _: hints + answer(200, b"ok", b"Cache-Control: no-store"))
    reply = client.get(b"/hinted")
    assert [fields[b":status"] for fields in reply.interim] == [b"103"]
    assert reply.interim[0][b"link"] == b"</a.css>; rel=preload"
    assert reply.body == b"ok"


def test_many_requests_at_once_are_answered_each_with_its_own(site: Http3Site, client: QuicClient) -> None:
    for number in range(60):
        site.site.on(b"/n%d" % number, answer(200, b"%d" % number, b"Cache-Control: no-store"))
    streams = {client.ask(get(b"/n%d" % number)): number for number in range(60)}
    assert {number: client.finish(stream).body for stream, number in streams.items()} == {
        number: b"%d" % number for number in range(60)
    }


def test_a_client_that_resets_its_request_ends_what_goes_on_for_it(site: Http3Site, client: QuicClient) -> None:
    left = threading.Event()

    def slow(_: RecordedRequest) -> Iterator[bytes]:
        left.wait(10)
        yield answer(200, b"late")

    site.site.on(b"/left", slow)
    stream = client.ask(get(b"/left"))
    client.until(lambda: bool(site.site.to(b"/left")), "the origin is asked")
    client.quic.reset_stream(stream, codes.REQUEST_CANCELLED) if hasattr(client.quic, "_core") else None
    client.quic.stop_stream(stream, codes.REQUEST_CANCELLED)
    client.flush()
    wait_until(lambda: '"status":0' in site.edge.logs() or '"error":"client_gone"' in site.edge.logs(), "it is logged")
    left.set()
    assert client.get(b"/next").status == 200


@pytest.mark.slow
def test_a_head_that_is_never_whole_is_refused(site: Http3Site) -> None:
    with site.client(http=False) as client:
        client.connect()
        client.send(0, b"\x01\x40\xff\x00")
        client.until(lambda: 0 in client.ended, "an answer")


@pytest.mark.slow
def test_a_body_that_stops_coming_is_refused(client: QuicClient) -> None:
    stream = client.ask(get(b"/stops", method=b"POST"), b"some", end=False)
    assert client.finish(stream).status == 408


PROTOCOLS = ("1.0", "1.1", "2", "3")


MANY = [(b"x-%d" % number, b"1") for number in range(200)]


def ask_in(version: str, site: Http3Site, client: QuicClient, path: bytes) -> tuple[int, int]:
    """A request, and one of too many fields, over TLS; their statuses."""
    if version == "3":
        return client.get(path).status, client.get(path, *MANY).status
    if version == "2":
        with httpx.Client(http2=True, verify=site.context()) as session:
            url = f"https://localhost:{site.port}{path.decode()}"
            return session.get(url).status_code, session.get(url, headers=MANY).status_code
    statuses = []
    for lines in ((), [b"%b: %b" % field for field in MANY]):
        with RawClient(site.address, tls=site.context()) as raw:
            raw.send(head(path, *lines, version=version.encode()))
            statuses.append(raw.answers(1).final[0].status)
    return statuses[0], statuses[1]


@pytest.mark.parametrize("version", PROTOCOLS)
def test_log_and_metric_say_what_the_client_speaks(site: Http3Site, client: QuicClient, version: str) -> None:
    def counted() -> float:
        return site.metric("edgeproxy_requests_by_protocol_total", f'{{protocol="http/{version}"}}')

    def logged() -> list[dict[str, Any]]:
        lines = [json.loads(line) for line in site.edge.logs().splitlines() if line.startswith("{")]
        return [line for line in lines if line["target"] == path.decode() or line["status"] == 431]

    path = b"/logged/" + version.encode()
    before, so_far = counted(), len(logged())
    assert ask_in(version, site, client, path) == (200, 431)
    wait_until(lambda: counted() == before + 2, "both are counted")
    wait_until(lambda: len(logged()) == so_far + 2, "both are logged")
    assert [(line["version"], line["scheme"], line["status"]) for line in logged()[so_far:]] == [
        (version, "https", 200),
        (version, "https", 431),
    ]


def test_answers_over_tcp_tell_of_it(site: Http3Site) -> None:
    with RawClient(site.address, tls=site.context()) as client:
        client.send(head(b"/told"))
        assert client.answers(1).final[0].get(b"alt-svc") == b'h3=":%d"; ma=86400' % site.port


def test_answers_over_http2_tell_of_it_too(site: Http3Site) -> None:
    with httpx.Client(http2=True, verify=site.context()) as client:
        reply = client.get(f"https://localhost:{site.port}/told")
    assert reply.http_version == "HTTP/2"
    assert reply.headers["alt-svc"] == f'h3=":{site.port}"; ma=86400'


def test_a_websocket_goes_both_ways_over_a_stream(site: Http3Site, client: QuicClient) -> None:
    def echo(request: RecordedRequest) -> Iterator[bytes]:
        yield b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n" + b"welcome"

    site.site.on(b"/socket", echo)
    fields = [(b":method", b"CONNECT"), *get(b"/socket")[1:], (b":protocol", b"websocket")]
    stream = client.ask([*fields, (b"sec-websocket-version", b"13")], end=False)
    reply = client.replies[stream]
    client.until(lambda: b"welcome" in reply.body, "what the origin says")
    assert reply.status == 200
    seen = site.site.to(b"/socket")[-1]
    assert seen.get(b"upgrade") == b"websocket"
    assert seen.get(b"sec-websocket-key")


@pytest.mark.slow
def test_what_is_urgent_comes_first(site: Http3Site) -> None:
    site.site.on(b"/heavy", answer(200, bytes(2_000_000), KEPT))
    with site.client(max_stream_data=8_000_000, max_data=32_000_000) as client:
        client.connect().get(b"/heavy")
        late = client.ask(get(b"/heavy", (b"priority", b"u=7")))
        soon = client.ask(get(b"/heavy", (b"priority", b"u=0")))
        client.until(lambda: client.replies[late].ended or client.replies[soon].ended, "the first")
        assert client.replies[soon].ended
        assert len(client.replies[late].body) < 500_000
        client.finish(late)


@pytest.mark.slow
def test_a_priority_that_is_told_later_counts(site: Http3Site) -> None:
    site.site.on(b"/heavy", answer(200, bytes(2_000_000), KEPT))
    with site.client(max_stream_data=8_000_000, max_data=32_000_000) as client:
        client.connect().get(b"/heavy")
        first = client.ask(get(b"/heavy", (b"priority", b"u=6")))
        second = client.ask(get(b"/heavy", (b"priority", b"u=7")))
        client.send(2, b"\x80\x0f\x07\x00\x04" + bytes((second,)) + b"u=0")
        client.until(lambda: client.replies[first].ended or client.replies[second].ended, "the first")
        assert client.replies[second].ended
        client.finish(first)


def test_a_slow_reader_holds_up_nobody_else_on_its_connection(site: Http3Site) -> None:
    site.site.on(b"/heavy", answer(200, bytes(2_000_000), KEPT))
    site.site.on(b"/small", answer(200, b"small", KEPT))
    with site.client(max_stream_data=30_000, http=False) as client:
        client.connect()
        send_raw(client, 0, b"/heavy")
        client.until(lambda: len(client.raw.get(0, b"")) > 1_000, "its beginning")
        for number in range(1, 99):
            send_raw(client, 4 * number, b"/small")
        client.until(lambda: all(4 * number in client.ended for number in range(1, 99)), "the others")


def send_raw(client: QuicClient, stream: int, path: bytes) -> None:
    client.send(stream, frame(codes.HEADERS, qpack.encode(get(path))), end=True)


def test_bodies_at_once_come_to_the_origin_each_whole(site: Http3Site, client: QuicClient) -> None:
    sent = {client.ask(get(b"/body%d" % n, method=b"POST"), bytes((n,)) * 200_000): n for n in range(8)}
    for stream, number in sent.items():
        assert client.finish(stream).status == 200
        assert site.site.to(b"/body%d" % number)[-1].body == bytes((number,)) * 200_000
