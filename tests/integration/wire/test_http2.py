"""HTTP/2 through the real proxy: whatever HTTP/1.1 does there, on streams; and what streams add."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
import threading
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
from aiohttp import WSMsgType, web

from edgeproxy.http2 import frames
from edgeproxy.http2.hpack import encode
from tests.support.browser import browser_page
from tests.support.browser import trusting as trusting_key
from tests.support.certificates import Authority
from tests.support.client import RawClient, ask
from tests.support.http2_client import Http2Client
from tests.support.origin import Hang, RecordedRequest
from tests.support.ports import free_port
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request

MB = 1024 * 1024
WINDOW = 100_000
LIMITS = {"head_timeout": 1, "body_timeout": 1, "body_size": "1MB", "write_timeout": 2, "head_size": "4KB"}


class Wire(NamedTuple):
    edge: EdgeProcess
    origin: Site
    plain: tuple[str, int]
    secure: tuple[str, int]
    only: tuple[str, int]
    authority: Path


@pytest.fixture(scope="module")
def wire(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Wire]:
    authority = Authority(tmp_path_factory.mktemp("http2"))
    pair = authority.issue("localhost")
    tls = {"certificates": [{"certificate": str(pair.certificate), "key": str(pair.key)}]}
    plain, secure, only = (("127.0.0.1", free_port()) for _ in range(3))
    limits = {"streams": 10, "window": WINDOW, "connection_window": 2 * WINDOW}
    with Site() as origin:
        listeners = [
            {"address": f"127.0.0.1:{plain[1]}", "protocols": ["h1", "h2"], "http2": limits},
            {"address": f"127.0.0.1:{secure[1]}", "tls": tls},
            {"address": f"127.0.0.1:{only[1]}", "protocols": "h2"},
        ]
        settings = config(origin.url, listeners=listeners, limits=LIMITS, middleware={"bot_check": False})
        with EdgeProcess(settings) as edge:
            yield Wire(edge, origin, plain, secure, only, authority.file)
            assert "internal error" not in edge.logs()
            assert "Traceback" not in edge.logs()


@pytest.fixture
def client(wire: Wire) -> Iterator[Http2Client]:
    with Http2Client(wire.plain) as client:
        yield client


def ok(body: bytes, *lines: bytes) -> bytes:
    fields = b"".join(line + b"\r\n" for line in (b"Content-Length: %d" % len(body), *lines))
    return b"HTTP/1.1 200 OK\r\n%b\r\n%b" % (fields, body)


# Which protocol is spoken.


def curl(*arguments: str) -> str:
    command = ["curl", "-sS", "-m", "10", "-o", "/dev/null", "-w", "%{http_version} %{http_code}", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def test_with_tls_the_client_chooses(wire: Wire) -> None:
    trusted = ("--cacert", str(wire.authority), f"https://localhost:{wire.secure[1]}/")
    assert curl("--http2", *trusted) == "2 200"
    assert curl("--http1.1", *trusted) == "1.1 200"
    assert curl("--no-alpn", *trusted) == "1.1 200"


def test_in_the_clear_the_first_bytes_choose(wire: Wire) -> None:
    url = f"http://127.0.0.1:{wire.plain[1]}/"
    assert curl("--http2-prior-knowledge", url) == "2 200"
    assert curl("--http1.1", url) == "1.1 200"
    assert curl("--http2", url) == "1.1 200", "Upgrade: h2c is not taken (RFC 9113 §3.1)"


def test_a_preface_may_come_in_pieces_and_so_may_what_only_looks_like_one(wire: Wire) -> None:
    with socket.create_connection(wire.plain, timeout=5) as peer:
        peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for at in range(len(frames.PREFACE)):
            peer.sendall(frames.PREFACE[at : at + 1])
        peer.sendall(frames.settings({}))
        assert peer.recv(9)[3] == frames.SETTINGS
    with RawClient(wire.plain) as other:
        other.send(b"P")
        other.send(request(b"/", b"Content-Length: 0", method=b"POST")[1:])
        assert other.answers(1).final[0].status == 200


def test_a_listener_for_http2_alone_ends_what_is_something_else(wire: Wire) -> None:
    with Http2Client(wire.only) as client:
        assert client.get(b"/").status == 200
    with socket.create_connection(wire.only, timeout=5) as peer:
        peer.sendall(request(b"/"))
        told = b""
        while data := peer.recv(4096):
            told += data
    assert frames.frame(frames.GOAWAY, 0, 0, bytes(4) + frames.uint32(frames.PROTOCOL_ERROR)[:4])[9:17] in told


async def test_httpx_is_served_many_at_once(wire: Wire) -> None:
    trusted = ssl.create_default_context(cafile=str(wire.authority))
    async with httpx.AsyncClient(http1=False, http2=True, verify=trusted) as session:
        urls = [f"https://localhost:{wire.secure[1]}/{n}" for n in range(50)]
        answers = await asyncio.gather(*(session.get(url) for url in urls))
    assert {(answer.http_version, answer.status_code, answer.text) for answer in answers} == {("HTTP/2", 200, "ok")}


def test_nghttp_and_h2load_are_served(wire: Wire) -> None:
    wire.origin.on(b"/kept", ok(b"kept", b"Cache-Control: max-age=600"))
    url = f"http://127.0.0.1:{wire.plain[1]}/kept"
    said = subprocess.run(["nghttp", "-nv", url], capture_output=True, text=True, check=True, timeout=20).stdout
    assert ":status: 200" in said
    command = ["h2load", "-n", "1000", "-c", "3", "-m", "8", url]
    said = subprocess.run(command, capture_output=True, text=True, check=True, timeout=20).stdout
    assert "1000 succeeded, 0 failed, 0 errored, 0 timeout" in said


# Requests and answers.


def test_the_origin_sees_the_request_it_would_see_by_http1(wire: Wire, client: Http2Client) -> None:
    answer = client.get(b"/seen?x=1", [(b"cookie", b"a=1"), (b"cookie", b"b=2"), (b"x-own", b"1")])
    assert answer.status == 200
    (seen,) = wire.origin.to(b"/seen?x=1")
    fields = {name.lower(): value for name, value in seen.fields}
    assert fields[b"host"] == b"a.example"
    assert fields[b"cookie"] == b"a=1; b=2"
    assert fields[b"x-own"] == b"1"


def test_an_answer_from_the_cache_is_the_one_from_the_origin(wire: Wire, client: Http2Client) -> None:
    wire.origin.on(b"/hit", ok(b"body" * 1000, b"Cache-Control: max-age=600", b"Set-Cookie: a=1", b"Etag: x"))
    first, second = client.get(b"/hit"), client.get(b"/hit")
    assert len(wire.origin.to(b"/hit")) <= 2
    assert first.body == second.body == b"body" * 1000
    assert second.get(b"content-length") == b"4000"
    assert ask(wire.plain, request(b"/hit")).final[0].body == second.body


@pytest.mark.parametrize(
    ("method", "answer", "status"),
    [
        (b"HEAD", b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n", 200),
        (b"GET", b"HTTP/1.1 204 No Content\r\n\r\n", 204),
        (b"GET", b'HTTP/1.1 304 Not Modified\r\nEtag: "x"\r\n\r\n', 304),
    ],
)
def test_answers_without_a_body_have_none(
    wire: Wire, client: Http2Client, method: bytes, answer: bytes, status: int
) -> None:
    target = wire.origin.on(b"/bare/%b/%d" % (method, status), answer)
    got = client.get(target, [(b"if-none-match", b'"x"')] if status == 304 else [], method=method)
    assert (got.status, got.body, got.ended, got.reset) == (status, b"", True, None)
    if method == b"HEAD":
        assert got.get(b"content-length") == b"1000"


def test_no_field_of_http1_connections_reaches_the_client(wire: Wire, client: Http2Client) -> None:
    target = wire.origin.on(b"/hop", ok(b"x", b"Connection: x-hop", b"X-Hop: 1", b"Keep-Alive: timeout=5"))
    names = {name for name, _ in client.get(target).fields}
    assert not names & {b"connection", b"keep-alive", b"x-hop", b"transfer-encoding"}


def test_a_chunked_answer_and_its_trailers_arrive(wire: Wire, client: Http2Client) -> None:
    chunked = (
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTrailer: x-sum\r\n\r\n5\r\nhello\r\n0\r\nX-Sum: 5\r\n\r\n"
    )
    answer = client.get(wire.origin.on(b"/chunked", chunked), [(b"te", b"trailers")])
    assert (answer.body, answer.trailers) == (b"hello", [(b"x-sum", b"5")])


def test_a_body_with_trailers_and_without_a_length_reaches_the_origin(wire: Wire, client: Http2Client) -> None:
    number = client.ask(b"/up", method=b"POST", end=False)
    client.h2.send_data(number, b"first ", pad_length=10)
    client.h2.send_data(number, b"second")
    client.h2.send_headers(number, [(b"x-sum", b"12")], end_stream=True)
    client.flush()
    assert client.whole(number).status == 200
    (seen,) = wire.origin.to(b"/up")
    assert seen.body == b"first second"


def test_a_large_body_goes_up_and_a_large_answer_comes_down(wire: Wire) -> None:
    target = wire.origin.on(b"/large", ok(bytes(8 * MB), b"Cache-Control: no-store"))
    with Http2Client(wire.secure, context=trusting(wire), window=MB) as client:
        assert len(client.get(target).body) == 8 * MB
    command = ["curl", "-sS", "-m", "20", "--http2-prior-knowledge", "-w", "%{http_code}", "--data-binary", "@-"]
    url = f"http://127.0.0.1:{wire.plain[1]}/posted"
    said = subprocess.run([*command, url], input=bytes(900_000), capture_output=True, check=True).stdout
    assert said == b"ok200"
    assert len(wire.origin.to(b"/posted")[0].body) == 900_000


def trusting(wire: Wire) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(wire.authority))
    context.set_alpn_protocols(["h2"])
    return context


def test_a_client_that_waits_for_it_is_told_to_go_on(wire: Wire, client: Http2Client) -> None:
    number = client.ask(b"/expect", [(b"expect", b"100-continue")], method=b"POST", end=False)
    answer = client.streams[number]
    client.until(lambda: bool(answer.interim))
    assert answer.interim == [[(b":status", b"100")]]
    client.h2.send_data(number, b"body", end_stream=True)
    client.flush()
    assert client.whole(number).status == 200


def test_an_answer_that_breaks_off_is_a_reset_and_the_others_go_on(wire: Wire, client: Http2Client) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n"
    target = wire.origin.on(b"/broken", lambda _: iter((head + b"only this", Hang.CLOSE)))
    answer = client.get(target)
    assert (answer.status, answer.reset) == (200, frames.INTERNAL_ERROR)
    assert client.get(b"/").status == 200


# What is refused.


def test_a_malformed_request_is_a_reset(client: Http2Client) -> None:
    number = client.h2.get_next_available_stream_id()
    client.begin(number, [(b":method", b"GET"), (b":path", b"/"), (b"Upper", b"x")], end=True)
    assert client.whole(number).reset == frames.PROTOCOL_ERROR
    assert client.get(b"/").status == 200


def test_a_head_too_large_gets_its_answer(client: Http2Client) -> None:
    assert client.get(b"/", [(b"x-%d" % n, b"v" * 500) for n in range(20)]).status == 431
    assert client.get(b"/", [(b"x-%d" % n, b"") for n in range(200)]).status == 431
    assert client.get(b"/").status == 200


def test_content_that_is_not_as_long_as_it_says_is_a_reset(client: Http2Client) -> None:
    for length, body in ((b"3", b"four"), (b"5", b"four")):
        number = client.ask(b"/lies", [(b"content-length", length)], method=b"POST", body=body)
        assert client.whole(number).reset == frames.PROTOCOL_ERROR
    number = client.ask(b"/lies", [(b"content-length", b"5")], method=b"POST", end=False)
    client.h2.send_headers(number, [(b"x-sum", b"0")], end_stream=True)
    client.flush()
    assert client.whole(number).reset == frames.PROTOCOL_ERROR


def test_a_body_that_says_it_is_too_large_is_refused_and_told_to_stop(client: Http2Client) -> None:
    number = client.ask(b"/too", [(b"content-length", b"2000000")], method=b"POST", end=False)
    answer = client.streams[number]
    client.until(lambda: answer.reset is not None)
    assert (answer.status, answer.reset) == (413, frames.NO_ERROR)
    assert client.get(b"/").status == 200


def test_a_body_that_turns_out_too_large_is_refused(client: Http2Client) -> None:
    number = client.ask(b"/grows", method=b"POST", end=False)
    answer = client.streams[number]
    sent = 0
    while not answer.over and sent < 3 * MB:
        size = min(16_384, client.h2.local_flow_control_window(number))
        if size:
            client.h2.send_data(number, bytes(size))
            client.flush()
            sent += size
            client.socket.setblocking(False)
            try:
                client.step()
            except BlockingIOError:
                pass
            finally:
                client.socket.settimeout(10)
        else:
            client.step()
    client.until(lambda: answer.over)
    assert answer.status == 413
    assert 1_000_000 <= sent < 2 * MB


def test_streams_beyond_the_most_are_refused_and_may_be_asked_again(wire: Wire, client: Http2Client) -> None:
    free = threading.Event()

    def wait(_: RecordedRequest) -> Iterator[bytes]:
        free.wait(10)
        yield ok(b"late", b"Cache-Control: no-store")

    wire.origin.on(b"/wait", wait)
    client.until(lambda: 3 in client.settings)
    assert client.settings[3] == 10
    client.h2.remote_settings._settings[3].clear()  # by itself it would send no more
    client.h2.remote_settings._settings[3].append(100)
    numbers = [client.ask(b"/wait", [(b"x-n", b"%d" % n)]) for n in range(11)]
    assert client.whole(numbers[-1]).reset == frames.REFUSED_STREAM
    free.set()
    assert [client.whole(number).status for number in numbers[:-1]] == [200] * 10


# Streams beside each other.


def test_a_client_that_cancels_frees_the_origin_and_the_others_go_on(wire: Wire, client: Http2Client) -> None:
    def endless(_: RecordedRequest) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"
        while True:
            yield bytes(65_536)

    number = client.ask(wire.origin.on(b"/endless", endless))
    client.until(lambda: len(client.streams[number].body) > WINDOW)
    client.h2.reset_stream(number, frames.CANCEL)
    client.flush()
    assert wire.origin.aborted.wait(5)
    assert client.get(b"/").status == 200


def test_bodies_that_are_cancelled_give_their_room_back(client: Http2Client) -> None:
    client.until(lambda: bool(client.settings))
    for _ in range(10):  # of which two would fill the connection's window
        number = client.ask(b"/cancelled", method=b"POST", end=False)
        while client.h2.local_flow_control_window(number) >= 16_000:
            client.h2.send_data(number, bytes(16_000))
        client.h2.reset_stream(number, frames.CANCEL)
        client.flush()
        client.ping()
    client.until(lambda: client.h2.outbound_flow_control_window > WINDOW)


def test_answers_share_the_connection_and_a_slow_reader_of_one_holds_up_none(wire: Wire) -> None:
    target = wire.origin.on(b"/mb", ok(bytes(MB), b"Cache-Control: max-age=600"))
    with Http2Client(wire.secure, context=trusting(wire), window=65_535, takes=False) as client:
        client.h2.increment_flow_control_window(50 * MB)
        slow = client.ask(target)
        answer = client.streams[slow]
        client.until(lambda: len(answer.body) == 65_535)
        others = []
        for _ in range(99):
            number = client.ask(b"/small")
            others.append(client.whole(number))
        assert {(other.status, other.body) for other in others} == {(200, b"ok")}
        assert len(answer.body) == 65_535
        client.h2.increment_flow_control_window(MB, slow)
        client.flush()
        assert len(client.whole(slow).body) == MB


def test_urgent_answers_come_first(wire: Wire) -> None:
    target = wire.origin.on(b"/urgent", ok(bytes(300_000), b"Cache-Control: max-age=600"))
    with Http2Client(wire.plain) as client:
        client.get(target)
        client.h2.update_settings({4: 0})
        client.flush()
        client.ping()
        later = client.ask(target, [(b"priority", b"u=5")])
        parts = [client.ask(target, [(b"priority", b"u=3, i")]) for _ in range(2)]
        first = client.ask(target, [(b"priority", b"u=1")])
        client.ping()
        order: list[int] = []
        client.h2.increment_flow_control_window(10 * MB)
        client.h2.update_settings({4: MB})
        client.flush()
        while not all(client.streams[number].ended for number in (later, *parts, first)):
            before = {number: stream.ended for number, stream in client.streams.items()}
            client.step()
            order += [number for number, stream in client.streams.items() if stream.ended and not before[number]]
        assert order[-1] == later
        assert client.streams[first].ended


@asynccontextmanager
async def shouting(tls: dict[str, object] | None = None) -> AsyncIterator[tuple[EdgeProcess, int]]:
    """A proxy, and its port, before an origin that answers each message of a WebSocket in capitals."""

    async def talk(asked: web.Request) -> web.StreamResponse:
        if "upgrade" not in asked.headers:
            return web.Response(text="<title>page</title>", content_type="text/html")
        socket = web.WebSocketResponse()
        await socket.prepare(asked)
        async for message in socket:
            if message.type == WSMsgType.TEXT:
                await socket.send_str(message.data.upper())
        return socket

    application = web.Application()
    application.router.add_get("/ws", talk)
    runner = web.AppRunner(application)
    await runner.setup()
    port, own = free_port(), free_port()
    await web.TCPSite(runner, "127.0.0.1", port).start()
    listener = {"address": f"127.0.0.1:{own}", "protocols": "h2", **({"tls": tls} if tls else {})}
    try:
        with EdgeProcess(config(f"http://127.0.0.1:{port}", listeners=[listener])) as edge:
            yield edge, own
            assert "Traceback" not in edge.logs()
    finally:
        await runner.cleanup()


@pytest.mark.slow
async def test_a_websocket_is_carried_on_a_stream() -> None:
    async with shouting() as (_, port):
        await asyncio.to_thread(converse, ("127.0.0.1", port))


@pytest.mark.slow
async def test_chromium_carries_its_websockets_on_the_connection_of_its_pages(tmp_path: Path) -> None:
    pair = Authority(tmp_path).issue("localhost")
    tls: dict[str, object] = {"certificates": [{"certificate": str(pair.certificate), "key": str(pair.key)}]}
    async with shouting(tls) as (_, port), browser_page(flags=[trusting_key(pair.certificate)]) as page:
        await page.open(f"https://localhost:{port}/ws")
        assert page.responses[f"https://localhost:{port}/ws"]["protocol"] == "h2"
        said = await page.run(
            """new Promise((done, failed) => {
                const socket = new WebSocket(location.href.replace("https", "wss"));
                socket.onopen = () => socket.send("from chromium");
                socket.onmessage = (message) => { done(message.data); socket.close(); };
                socket.onerror = () => failed(new Error("no websocket"));
            })"""
        )
        assert said == "FROM CHROMIUM"  # this listener speaks HTTP/2 alone


def converse(address: tuple[str, int]) -> None:
    """A text frame each way, masked as RFC 6455 §5.3 has it, a close, and the other end of the stream."""
    with Http2Client(address) as client:
        client.until(lambda: bool(client.settings))
        assert client.settings[frames.ENABLE_CONNECT_PROTOCOL] == 1
        number = client.h2.get_next_available_stream_id()
        fields = [
            (b":method", b"CONNECT"),
            (b":protocol", b"websocket"),
            (b":scheme", b"http"),
            (b":path", b"/ws"),
            (b":authority", b"a.example"),
            (b"sec-websocket-version", b"13"),
        ]
        client.begin(number, fields, end=False)
        answer = client.streams[number]
        client.until(lambda: answer.status != 0)
        assert answer.status == 200
        assert answer.get(b"sec-websocket-accept") is None
        client.h2.send_data(number, b"\x81\x85\0\0\0\0hello")
        client.flush()
        client.until(lambda: len(answer.body) >= 7)
        assert answer.body == b"\x81\x05HELLO"
        client.h2.send_data(number, b"\x88\x82\0\0\0\0\x03\xe8")
        client.flush()
        client.until(lambda: answer.over)
        assert answer.body[7:] == b"\x88\x02\x03\xe8"
        assert answer.ended


def test_a_websocket_that_the_origin_denies_is_an_answer_like_any_other(wire: Wire, client: Http2Client) -> None:
    number = client.h2.get_next_available_stream_id()
    head = [(b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"http"), (b":path", b"/no")]
    client.begin(number, [*head, (b":authority", b"a.example"), (b"sec-websocket-version", b"13")], end=False)
    answer = client.streams[number]
    client.until(lambda: answer.over)
    assert answer.status == 200
    assert answer.body == b"ok"
    assert client.get(b"/").status == 200


# Time.


def test_a_head_that_does_not_end_ends_the_connection(wire: Wire) -> None:
    head = encode([(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"), (b":authority", b"a.example")])
    with socket.create_connection(wire.plain, timeout=10) as peer:
        peer.sendall(frames.PREFACE + frames.settings({}) + frames.frame(frames.HEADERS, 1, 1, head))
        told = b""
        while data := peer.recv(4096):
            told += data
    assert bytes([frames.GOAWAY]) in told


def test_a_body_that_stops_gets_its_answer_and_the_connection_goes_on(client: Http2Client) -> None:
    number = client.ask(b"/stops", method=b"POST", end=False)
    client.h2.send_data(number, b"x")
    client.flush()
    assert client.whole(number).status == 408
    assert client.get(b"/").status == 200


@pytest.mark.slow
def test_a_stream_whose_window_is_never_opened_is_broken_off_and_the_others_go_on(wire: Wire) -> None:
    target = wire.origin.on(b"/stalls", ok(bytes(300_000), b"Cache-Control: max-age=600"))
    with Http2Client(wire.plain, takes=False) as client:
        client.h2.increment_flow_control_window(MB)
        number = client.ask(target)
        assert client.whole(number).reset == frames.CANCEL
        assert len(client.streams[number].body) == 65_535
        assert client.get(b"/").status == 200


def test_a_flood_is_counted_and_nobody_else_is_touched(wire: Wire, client: Http2Client) -> None:
    with socket.create_connection(wire.plain, timeout=10) as peer:
        peer.sendall(frames.PREFACE + frames.settings({}) + frames.frame(frames.PING, 0, 0, bytes(8)) * 1000)
        told = b""
        while data := peer.recv(65536):
            told += data
    assert frames.uint32(frames.ENHANCE_YOUR_CALM) in told
    assert b'edgeproxy_http2_floods_total{kind="ping"} 1' in wire.edge.admin("/metrics")[1]
    assert client.get(b"/").status == 200


@pytest.mark.slow
def test_a_draining_proxy_says_so_and_answers_what_was_asked(wire: Wire) -> None:
    asked = threading.Event()
    free = threading.Event()

    def wait(_: RecordedRequest) -> Iterator[bytes]:
        asked.set()
        free.wait(10)
        yield ok(b"late")

    wire.origin.on(b"/late", wait)
    address = ("127.0.0.1", free_port())
    listeners = [{"address": f"127.0.0.1:{address[1]}", "protocols": ["h1", "h2"]}]
    with EdgeProcess(config(wire.origin.url, listeners=listeners)) as edge, socket.create_connection(address) as peer:
        peer.settimeout(10)
        head = [(b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/late"), (b":authority", b"a.example")]
        peer.sendall(frames.PREFACE + frames.settings({}) + frames.frame(frames.HEADERS, 5, 1, encode(head)))
        assert asked.wait(5)
        edge.process.terminate()
        told = b""
        while frames.frame(frames.PING, 0, 0, bytes(8)) not in told:
            told += peer.recv(4096)
        assert frames.frame(frames.GOAWAY, 0, 0, frames.uint32(frames.STREAM_MOST) + bytes(4)) in told
        peer.sendall(frames.frame(frames.PING, frames.ACK, 0, bytes(8)))
        while frames.frame(frames.GOAWAY, 0, 0, frames.uint32(1) + bytes(4)) not in told:
            told += peer.recv(4096)
        free.set()
        while data := peer.recv(4096):
            told += data
        assert told.endswith(b"late")
        assert edge.process.wait(10) == 0
