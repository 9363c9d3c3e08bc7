"""Pools whose origins speak HTTP/2: many requests on one connection, none of which is another's business."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import ssl
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path

import h2.settings
import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import HIGH_WATER, Pipe, Tunnel
from edgeproxy.origin.http2 import WINDOW
from tests.support.certificates import Authority
from tests.support.http2_origin import Asked, Http2Origin, Script
from tests.support.ports import accepts, free_port, wait_until
from tests.support.processes import EdgeProcess

WEBSOCKET = {
    b"connection": b"keep-alive, Upgrade",
    b"upgrade": b"websocket",
    b"sec-websocket-key": b"dGhlIHNhbXBsZSBub25jZQ==",
    b"sec-websocket-version": b"13",
}
STREAMS = h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS
CONNECT = h2.settings.SettingCodes.ENABLE_CONNECT_PROTOCOL
CANCEL, REFUSED, INTERNAL = 8, 7, 2

Start = Callable[..., Awaitable[Http2Origin]]


@pytest.fixture
async def start() -> AsyncIterator[Start]:
    """``await start(script, …)``: an origin, ended with the test."""
    async with contextlib.AsyncExitStack() as stack:

        async def begin(script: Script, **options) -> Http2Origin:
            return await stack.enter_async_context(Http2Origin(script, **options))

        yield begin


@pytest.fixture
def pool(make_pool):
    async def make(*urls: str, **settings):
        return await make_pool(*urls, protocol="http2", **settings)

    return make


async def echo(asked: Asked) -> None:
    """The target, and the body."""
    await asked.answer((asked.get(b":path") or b"") + await asked.body())


async def bodies(pool, exchanges) -> list[bytes]:
    async def body(x) -> bytes:
        response = await pool.fetch(x)
        return response.body if isinstance(response.body, bytes) else await response.body.read()

    return await asyncio.gather(*map(body, exchanges))


def tls(authority: Authority) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*authority.issue("127.0.0.1"))
    return context


# Connections.


async def test_many_requests_share_one_connection_also_while_it_is_opened(start, pool, exchange):
    origin = await start(echo)
    site = await pool(origin.url)
    targets = [b"/%d" % number for number in range(60)]
    assert await bodies(site, [exchange(target=target) for target in targets]) == targets
    assert await bodies(site, [exchange(target=target) for target in targets]) == targets
    assert len(origin.wires) == 1
    assert site.state()[0]["in_flight"] == 0


async def test_no_more_streams_are_opened_than_the_origin_takes(start, pool, exchange, settle):
    gate = asyncio.Event()

    async def script(asked: Asked) -> None:
        await gate.wait()
        await asked.answer(asked.get(b":path"))

    origin = await start(script, settings={STREAMS: 2})
    site = await pool(origin.url)
    asking = asyncio.create_task(bodies(site, [exchange(target=b"/%d" % number) for number in range(11)]))
    await settle(lambda: len(origin.asked) == 11)
    assert len(origin.wires) == 6
    gate.set()
    assert await asking == [b"/%d" % number for number in range(11)]


async def test_an_origin_that_takes_no_streams_is_no_endless_dialling(start, pool, exchange):
    origin = await start(echo, settings={STREAMS: 0})
    site = await pool(origin.url, retry=False)
    with pytest.raises(EdgeError) as caught:
        await site.fetch(exchange())
    assert caught.value.kind is Kind.CONNECTION_LOST
    assert len(origin.wires) <= 3


async def test_http2_is_agreed_on_over_tls(start, pool, exchange, tmp_path):
    authority = Authority(tmp_path)
    context = tls(authority)
    context.set_alpn_protocols(["h2"])
    origin = await start(echo, tls=context)
    site = await pool(origin.url, tls={"ca": str(authority.file)})
    response = await site.fetch(exchange(target=b"/x"))
    assert response.body == b"/x"
    assert (b":scheme", b"https") in origin.asked[0].fields


async def test_an_origin_that_does_not_agree_to_it_is_told_apart(serve, pool, exchange, tmp_path, caplog):
    async def script(wire) -> None:
        raise AssertionError(await wire.reader.read(100))

    authority = Authority(tmp_path)
    origin = await serve(script, tls=tls(authority))
    site = await pool(origin.url, tls={"ca": str(authority.file)}, retry=False)
    with caplog.at_level(logging.WARNING, "edgeproxy.origin"), pytest.raises(EdgeError) as caught:
        await site.fetch(exchange())
    assert (caught.value.kind, caught.value.source) == (Kind.RESPONSE_INVALID, "origin")
    assert "does not speak HTTP/2" in caught.value.detail
    assert "does not speak HTTP/2" in caplog.text


async def test_an_origin_that_speaks_http1_alone_gets_no_request(serve, pool, exchange):
    got = bytearray()

    async def script(wire) -> None:
        got.extend(await wire.reader.read(1000))
        await wire.answer(b"HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\n\r\n")

    origin = await serve(script)
    site = await pool(origin.url, retry=False)
    with pytest.raises(EdgeError) as caught:
        await site.fetch(exchange(target=b"/secret"))
    assert "does not speak HTTP/2" in caught.value.detail
    assert got.startswith(b"PRI * HTTP/2.0\r\n")
    assert b"secret" not in got


async def test_an_origin_that_never_says_anything_is_given_up_in_time(serve, pool, exchange):
    async def script(wire) -> None:
        await wire.reader.read()

    origin = await serve(script)
    site = await pool(origin.url, timeouts={"connect": "50ms"}, retry=False)
    with pytest.raises(EdgeError) as caught:
        await site.fetch(exchange())
    assert caught.value.kind is Kind.CONNECT_TIMEOUT


async def test_a_unix_socket_does_as_well(start, pool, exchange, tmp_path: Path):
    origin = await start(echo, path=tmp_path / "origin")
    assert (await (await pool(origin.url)).fetch(exchange(target=b"/u"))).body == b"/u"


async def test_an_idle_connection_closes_after_its_time(start, pool, exchange, settle):
    origin = await start(echo)
    site = await pool(origin.url, keepalive={"idle": "100ms"})
    await site.fetch(exchange())
    assert origin.open == 1
    await settle(lambda: origin.open == 0)
    assert origin.wires[0].code == 0  # GOAWAY, with no error
    assert (await site.fetch(exchange(target=b"/2"))).body == b"/2"


async def test_no_idle_connection_is_kept_where_none_is_to_be(start, pool, exchange, settle):
    origin = await start(echo)
    site = await pool(origin.url, keepalive={"connections": 0})
    assert await bodies(site, [exchange(target=b"/%d" % number) for number in range(9)]) == [
        b"/%d" % number for number in range(9)
    ]
    await settle(lambda: origin.open == 0)
    assert len(origin.wires) == 1


async def test_spares_are_opened_before_they_are_needed(start, pool, settle):
    origin = await start(echo)
    site = await pool(origin.url, keepalive={"warm": 1})
    await settle(lambda: origin.open == 1 and site.state()[0]["idle"] == 1)


async def test_a_pool_that_stops_closes_what_is_idle_and_lets_the_rest_end(start, pool, exchange, settle):
    gate = asyncio.Event()

    async def script(asked: Asked) -> None:
        await gate.wait()
        await asked.answer(b"late")

    origin = await start(script)
    site = await pool(origin.url)
    asking = asyncio.create_task(site.fetch(exchange()))
    await settle(lambda: len(origin.asked) == 1)
    await site.stop()
    assert origin.open == 1
    gate.set()
    assert (await asking).body == b"late"
    await settle(lambda: origin.open == 0)


# Requests.


async def test_the_head_an_origin_gets(start, pool, exchange):
    origin = await start(echo)
    site = await pool(origin.url)
    told = {b"te": b"trailers", b"connection": b"te, keep-alive", b"cookie": b"a=b; c=d", b"x-a": b"1"}
    await site.fetch(exchange(target=b"/a?b", headers=told, version=b"2"))
    assert origin.asked[0].fields == [
        (b":method", b"GET"),
        (b":scheme", b"http"),
        (b":authority", b"www.example.com"),
        (b":path", b"/a?b"),
        (b"x-a", b"1"),
        (b"via", b"2 edgeproxy"),
        (b"cdn-loop", b"edgeproxy"),
        (b"te", b"trailers"),
        (b"cookie", b"a=b; c=d"),  # which the library puts last
    ]


@pytest.mark.parametrize("late", [False, True])
async def test_a_body_and_its_trailers_are_passed_on(start, pool, exchange, late):
    origin = await start(echo)
    site = await pool(origin.url)
    pipe = Pipe()
    pipe.feed(b"abc")
    if not late:
        pipe.finish({b"x-sum": b"3"})
    task = asyncio.create_task(site.fetch(exchange(b"POST", body=pipe)))
    if late:
        await asyncio.sleep(0)
        pipe.feed(b"def")
        pipe.finish({b"x-sum": b"3"})
    assert (await task).body == (b"/abcdef" if late else b"/abc")
    assert origin.asked[0].trailers == [(b"x-sum", b"3")]


async def test_a_large_body_is_sent_in_bounded_memory(start, pool, exchange, settle):
    listen = asyncio.Event()
    size = 2 * 1024 * 1024

    async def script(asked: Asked) -> None:
        await listen.wait()
        await asked.answer(b"%d" % len(await asked.body()))

    origin = await start(script)
    site = await pool(origin.url)
    free = asyncio.Event()
    free.set()
    pipe = Pipe(size, pause=free.clear, resume=free.set)
    asking = asyncio.create_task(site.fetch(exchange(b"PUT", body=pipe)))

    async def client() -> None:
        for _ in range(size // 65536):
            await free.wait()
            pipe.feed(bytes(65536))
        pipe.finish()

    feeding = asyncio.create_task(client())
    await settle(lambda: not free.is_set())
    for _ in range(20):
        await asyncio.sleep(0)
    assert not free.is_set()  # the origin opens no window, so the client is held back
    assert pipe._size <= HIGH_WATER + 65536
    listen.set()
    await feeding
    assert (await asking).body == b"%d" % size


async def test_a_body_shorter_than_announced_breaks_off_its_stream_alone(start, pool, exchange, settle):
    origin = await start(echo)
    site = await pool(origin.url)
    pipe = Pipe(10)
    asking = asyncio.create_task(site.fetch(exchange(b"PUT", body=pipe)))
    await settle(lambda: len(origin.asked) == 1)
    pipe.feed(b"1234")
    pipe.finish()
    with pytest.raises(EdgeError) as caught:
        await asking
    assert (caught.value.kind, caught.value.source) == (Kind.BAD_REQUEST, "client")
    await settle(lambda: origin.asked[0].reset == CANCEL)
    assert (await site.fetch(exchange(target=b"/next"))).body == b"/next"
    assert (len(origin.wires), site.state()[0]["failures"]) == (1, 0)


async def test_an_answer_may_come_before_the_request_is_over(start, pool, exchange, settle):
    async def script(asked: Asked) -> None:
        await asked.answer(b"enough", status=413)
        asked.break_off(0)

    origin = await start(script)
    site = await pool(origin.url)
    pipe = Pipe(1000)
    pipe.feed(b"some of it")
    response = await site.fetch(exchange(b"POST", body=pipe))
    assert (response.status, response.body) == (413, b"enough")
    origin.script = echo
    assert (await site.fetch(exchange(target=b"/next"))).body == b"/next"
    assert len(origin.wires) == 1


async def test_both_sides_may_go_on_at_once(start, pool, exchange):
    async def script(asked: Asked) -> None:
        asked.head(200)
        while piece := await asked.read():
            await asked.data(piece.upper())
        asked.end((b"x-done", b"yes"))

    origin = await start(script)
    site = await pool(origin.url)
    pipe = Pipe()
    response = await site.fetch(exchange(b"POST", body=pipe))
    for piece in (b"one", b"two", b"three"):
        pipe.feed(piece)
        assert await response.body.read() == piece.upper()
    pipe.finish()
    assert await response.body.read() == b""
    assert response.body.trailers == {b"x-done": b"yes"}


async def test_a_client_that_leaves_cancels_its_stream_and_no_other(start, pool, exchange, settle):
    async def script(asked: Asked) -> None:
        if asked.get(b":path") == b"/slow":
            await asked.broken.wait()
        else:
            await echo(asked)

    origin = await start(script)
    site = await pool(origin.url)
    asking = asyncio.create_task(site.fetch(exchange(target=b"/slow")))
    await settle(lambda: len(origin.asked) == 1)
    asking.cancel()
    await settle(lambda: origin.asked[0].reset == CANCEL)
    assert (await site.fetch(exchange(target=b"/next"))).body == b"/next"
    assert (len(origin.wires), site.state()[0]["in_flight"]) == (1, 0)


# Answers.


async def test_interim_answers_are_passed_on(start, pool, exchange):
    async def script(asked: Asked) -> None:
        asked.head(100)
        asked.head(103, (b"link", b"</a.css>; rel=preload"))
        await asked.answer(b"done")

    origin = await start(script)
    x = exchange()
    passed = []
    x.interim = lambda status, fields: passed.append((status, fields))
    assert (await (await pool(origin.url)).fetch(x)).body == b"done"
    assert passed == [(103, {b"link": b"</a.css>; rel=preload"})]


@pytest.mark.parametrize(("method", "status"), [(b"HEAD", 200), (b"GET", 304), (b"GET", 204)])
async def test_answers_without_a_body(start, pool, exchange, method, status):
    async def script(asked: Asked) -> None:
        asked.head(status, (b"content-length", b"500"), (b"etag", b'"x"'), end=True)

    origin = await start(script)
    response = await (await pool(origin.url)).fetch(exchange(method))
    assert (response.status, response.body, response.get(b"etag")) == (status, b"", b'"x"')
    assert (response.get(b"content-length") is None) is (status == 204)


async def test_trailers_of_an_answer_that_came_at_once(start, pool, exchange, read):
    async def script(asked: Asked) -> None:
        asked.head(200)
        await asked.data(b"abc")
        asked.end((b"x-sum", b"3"), (b"set-cookie", b"no"))

    origin = await start(script)
    response = await (await pool(origin.url)).fetch(exchange())
    assert await read(response) == b"abc"
    assert response.body.trailers == {b"x-sum": b"3"}


async def test_an_answer_nobody_reads_holds_no_other_back(start, pool, exchange, read, settle):
    size = 2 * 1024 * 1024

    async def script(asked: Asked) -> None:
        asked.head(200)
        await asked.data(bytes(size), end=True)

    origin = await start(script)
    site = await pool(origin.url)
    slow = await site.fetch(exchange())
    wire = origin.wires[0]
    await settle(lambda: wire.http.local_flow_control_window(1) == 0)
    for _ in range(3):
        assert len(await read(await site.fetch(exchange()))) == size
    assert slow.body._size <= HIGH_WATER + WINDOW
    assert len(origin.wires) == 1
    assert len(await read(slow)) == size


async def test_answers_broken_off_by_their_readers_leave_room_for_others(start, pool, exchange, read):
    """What was on its way is thrown away, and neither taken for a flood nor missing from the connection's window."""

    async def script(asked: Asked) -> None:
        asked.head(200)
        await asked.data(bytes(1024 * 1024), end=True)

    origin = await start(script)
    site = await pool(origin.url)
    for _ in range(2):
        for response in await asyncio.gather(*(site.fetch(exchange()) for _ in range(60))):
            response.body.close()
    assert len(await read(await site.fetch(exchange()))) == 1024 * 1024
    assert len(origin.wires) == 1


# What goes wrong.


@pytest.mark.parametrize("how", ["goaway", "refused"])
@pytest.mark.parametrize("method", [b"GET", b"POST"])
async def test_what_the_origin_has_not_looked_at_is_sent_again(start, pool, exchange, settle, how, method):
    """RFC 9113 §6.8, §8.7: safe whatever the method."""
    seen: list[bytes | None] = []

    async def script(asked: Asked) -> None:
        seen.append(asked.get(b":path"))
        if len(seen) > 2:
            await echo(asked)
        elif asked.get(b":path") == b"/first":
            await asyncio.sleep(0.05)
            await asked.answer(b"first")
        elif how == "goaway":
            asked.wire.leave(asked.stream - 2)
        else:
            asked.break_off(REFUSED)

    origin = await start(echo)
    site = await pool(origin.url)
    await site.fetch(exchange())
    origin.script = script
    body = Pipe()
    body.feed(b"body")
    body.finish()
    first = asyncio.create_task(site.fetch(exchange(target=b"/first")))
    await settle(lambda: len(seen) == 1)
    response = await site.fetch(exchange(method, b"/again", body=body if method == b"POST" else None))
    assert response.body == (b"/againbody" if method == b"POST" else b"/again")
    assert (await first).body == b"first"
    assert seen == [b"/first", b"/again", b"/again"]
    assert site.state()[0]["failures"] == 0


async def test_a_body_that_was_read_is_not_sent_again_whoever_refused_it(start, pool, exchange, settle):
    async def script(asked: Asked) -> None:
        await asked.read()
        asked.break_off(REFUSED)

    origin = await start(echo)
    site = await pool(origin.url)
    await site.fetch(exchange())
    origin.script = script
    body = Pipe()
    body.feed(b"some of it")
    async with asyncio.timeout(5):
        with pytest.raises(EdgeError) as caught:
            await site.fetch(exchange(b"PUT", body=body))
    assert caught.value.kind is Kind.CONNECTION_LOST
    assert len(origin.asked) == 2


async def test_what_was_looked_at_is_not_sent_again_unless_that_is_harmless(start, pool, exchange):
    async def script(asked: Asked) -> None:
        asked.wire.leave(asked.stream, INTERNAL)
        asked.wire.writer.close()

    origin = await start(script)
    site = await pool(origin.url)
    with pytest.raises(EdgeError) as caught:
        await site.fetch(exchange(b"POST"))
    assert caught.value.kind is Kind.CONNECTION_LOST
    assert len(origin.asked) == 1


async def test_a_refusal_without_end_is_an_error(start, pool, exchange):
    async def script(asked: Asked) -> None:
        asked.break_off(REFUSED)

    origin = await start(script)
    site = await pool(origin.url)
    with pytest.raises(EdgeError) as caught:
        await site.fetch(exchange(b"POST"))
    assert caught.value.kind is Kind.CONNECTION_LOST
    assert len(origin.asked) <= 3


async def test_a_stream_that_is_reset_hurts_no_other(start, pool, exchange, read, settle):
    async def script(asked: Asked) -> None:
        if asked.get(b":path") == b"/broken":
            asked.head(200)
            await asked.data(b"some")
            asked.break_off(INTERNAL)
        else:
            asked.head(200)
            await asked.data(bytes(WINDOW * 4), end=True)

    origin = await start(script)
    site = await pool(origin.url)
    other = await site.fetch(exchange())
    with pytest.raises(EdgeError) as caught:
        await read(await site.fetch(exchange(target=b"/broken")))
    assert caught.value.kind is Kind.RESPONSE_INCOMPLETE
    assert len(await read(other)) == WINDOW * 4
    assert len(origin.wires) == 1


async def test_a_connection_that_breaks_takes_its_answers_with_it_and_is_replaced(start, pool, exchange, read):
    async def script(asked: Asked) -> None:
        asked.head(200)
        await asked.data(b"some")
        asked.wire.writer.transport.abort()

    origin = await start(script)
    site = await pool(origin.url)
    response = await site.fetch(exchange())
    with pytest.raises(EdgeError) as caught:
        await read(response)
    assert caught.value.kind is Kind.RESPONSE_INCOMPLETE
    origin.script = echo
    assert (await site.fetch(exchange(target=b"/next"))).body == b"/next"


async def test_an_answer_that_does_not_come_is_a_time_out_and_the_connection_goes_on(start, pool, exchange, settle):
    async def script(asked: Asked) -> None:
        await asked.broken.wait()

    origin = await start(script)
    site = await pool(origin.url, timeouts={"first_byte": "50ms"}, retry=False)
    with pytest.raises(EdgeError) as caught:
        await site.fetch(exchange())
    assert caught.value.kind is Kind.RESPONSE_TIMEOUT
    await settle(lambda: origin.asked[0].reset == CANCEL)
    origin.script = echo
    await settle(lambda: site.state()[0]["idle"] == 1)  # it has answered a PING
    assert (await site.fetch(exchange(target=b"/next"))).body == b"/next"
    assert len(origin.wires) == 1


async def test_a_connection_that_hears_nobody_any_more_is_dropped(start, pool, exchange, settle):
    async def script(asked: Asked) -> None:
        asked.wire._reader._transport.pause_reading()

    origin = await start(script)
    site = await pool(origin.url, timeouts={"first_byte": "50ms", "connect": "50ms"}, retry=False)
    with pytest.raises(EdgeError) as caught:
        await site.fetch(exchange())
    assert caught.value.kind is Kind.RESPONSE_TIMEOUT
    origin.script = echo
    assert (await site.fetch(exchange(target=b"/next"))).body == b"/next"
    assert len(origin.wires) == 2


async def test_a_late_answer_is_asked_for_beside_and_given_up_alone(start, pool, exchange, settle):
    async def script(asked: Asked) -> None:
        await asked.broken.wait()

    late, other = await start(script), await start(echo)
    site = await pool(late.url, other.url, hedge={"after": "10ms"}, keepalive={"warm": 1})
    await settle(lambda: [each["idle"] for each in site.state()] == [1, 1])
    assert await bodies(site, [exchange(target=b"/1"), exchange(target=b"/2")]) == [b"/1", b"/2"]
    assert [asked.get(b":path") for asked in late.asked] == [b"/1"]
    await settle(lambda: late.asked[0].reset == CANCEL)
    assert (len(late.wires), late.open) == (1, 1)


async def test_a_deadline_that_the_client_has_set_is_no_fault_of_the_origin(start, pool, exchange, settle):
    async def script(asked: Asked) -> None:
        await asked.broken.wait()

    origin = await start(script)
    site = await pool(origin.url, timeouts={"first_byte": "10ms"}, outlier={"failures": 1})
    x = exchange(b"POST", headers={b"content-type": b"application/grpc", b"grpc-timeout": b"80m"})
    x.started = site._now()
    with pytest.raises(EdgeError) as caught:
        await site.fetch(x)
    assert (caught.value.kind, caught.value.source) == (Kind.RESPONSE_TIMEOUT, "edge")
    left = origin.asked[0].get(b"grpc-timeout")
    assert left is not None
    assert left.endswith(b"u")
    assert 10_000 < int(left[:-1]) <= 80_000
    x = exchange(b"POST", headers={b"content-type": b"application/grpc", b"grpc-timeout": b"1n"})
    x.started = site._now()
    with pytest.raises(EdgeError):
        await site.fetch(x)
    assert site.state()[0]["failures"] == 0


# WebSockets.


async def test_a_websocket_is_an_extended_connect(start, pool, exchange, settle):
    async def script(asked: Asked) -> None:
        asked.head(200)
        while piece := await asked.read():
            await asked.data(piece.upper())
        asked.end()

    origin = await start(script, settings={CONNECT: 1})
    site = await pool(origin.url)
    response = await site.fetch(exchange(target=b"/chat", headers=WEBSOCKET))
    assert response.status == 101
    assert response.get(b"sec-websocket-accept") == b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # RFC 6455 §1.3
    assert response.get(b"upgrade") == b"websocket"
    fields = dict(origin.asked[0].fields)
    assert (fields[b":method"], fields[b":protocol"], fields[b":path"]) == (b"CONNECT", b"websocket", b"/chat")
    assert not {b"connection", b"upgrade", b"sec-websocket-key"} & fields.keys()
    assert fields[b"sec-websocket-version"] == b"13"
    tunnel = response.body
    assert isinstance(tunnel, Tunnel)
    for piece in (b"abc", bytes(100) * 10_000):
        tunnel.write(piece)
        came = b""
        while len(came) < len(piece):
            came += await tunnel.read()
        assert came == piece.upper()
    assert site.state()[0]["in_flight"] == 1
    tunnel.close()
    await settle(lambda: site.state()[0]["in_flight"] == 0 and origin.asked[0].ended.is_set())
    assert origin.asked[0].reset is None  # both sides have ended it


async def test_a_websocket_goes_to_no_origin_that_does_not_take_it(start, pool, exchange):
    origin = await start(echo)
    site = await pool(origin.url)
    with pytest.raises(EdgeError) as caught:
        await site.fetch(exchange(headers=WEBSOCKET))
    assert (caught.value.status, caught.value.source) == (501, "edge")
    assert (origin.asked, site.state()[0]["failures"], site.state()[0]["in_flight"]) == ([], 0, 0)


async def test_a_websocket_that_is_refused_is_an_answer(start, pool, exchange):
    async def script(asked: Asked) -> None:
        await asked.answer(b"no", status=403)

    origin = await start(script, settings={CONNECT: 1})
    response = await (await pool(origin.url)).fetch(exchange(headers=WEBSOCKET))
    assert (response.status, response.body) == (403, b"no")


@pytest.mark.slow
async def test_a_client_of_http1_reaches_a_websocket_of_http2(start):
    async def script(asked: Asked) -> None:
        asked.head(200)
        while piece := await asked.read():
            await asked.data(piece)
        asked.end()

    origin = await start(script, settings={CONNECT: 1})
    edge = EdgeProcess(
        {
            "pools": {"site": {"endpoints": [origin.url], "protocol": "http2"}},
            "routes": [{"name": "all", "pool": "site"}],
        }
    )
    await asyncio.to_thread(edge.__enter__)
    try:
        reader, writer = await asyncio.open_connection(*edge.address)
        fields = b"".join(b"%b: %b\r\n" % field for field in WEBSOCKET.items())
        writer.write(b"GET /chat HTTP/1.1\r\nHost: a.example\r\n" + fields + b"\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 101 ")
        assert b"\r\nsec-websocket-accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n" in head
        writer.write(b"\x81\x85\0\0\0\0hello")
        assert await reader.readexactly(11) == b"\x81\x85\0\0\0\0hello"
        writer.close()
        async with asyncio.timeout(5):
            await origin.asked[0].ended.wait()
    finally:
        await asyncio.to_thread(edge.__exit__)


# A server that is not ours.


async def test_nghttpd_is_understood(pool, exchange, read, tmp_path):
    (tmp_path / "a.txt").write_bytes(bytes(range(256)) * 4000)
    port = free_port()
    command = ["/usr/sbin/nghttpd", "--no-tls", "--trailer=x-sum: 1", "-d", str(tmp_path), str(port)]
    server = await asyncio.create_subprocess_exec(*command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        await asyncio.to_thread(wait_until, lambda: accepts(port), "nghttpd listens")
        site = await pool(f"http://127.0.0.1:{port}")
        answers = await asyncio.gather(*(site.fetch(exchange(target=b"/a.txt")) for _ in range(20)))
        assert {await read(answer) for answer in answers} == {bytes(range(256)) * 4000}
        assert answers[0].body.trailers == {b"x-sum": b"1"}
        assert (await site.fetch(exchange(target=b"/none"))).status == 404
        assert (await site.fetch(exchange(b"HEAD", b"/a.txt"))).get(b"content-length") == b"1024000"
    finally:
        server.terminate()
        await server.wait()


# Checks.


@pytest.mark.parametrize("kind", ["http", "tcp"])
async def test_checks_speak_http2_too(start, pool, settle, kind):
    good = await start(echo)
    bad = await start(lambda asked: asked.answer(b"no", status=500))
    site = await pool(good.url, bad.url, health={"type": kind, "interval": "100ms", "fall": 1, "path": "/up"})
    if kind == "http":
        await settle(lambda: [each["healthy"] for each in site.state()] == [True, False])
        assert good.asked[0].get(b":path") == b"/up"
    else:
        await settle(lambda: len(bad.wires) > 1)
        assert [each["healthy"] for each in site.state()] == [True, True]
    await settle(lambda: good.open == 0)  # each on a connection of its own


@pytest.mark.parametrize(
    ("message", "status", "healthy"),
    [
        (b"\0\0\0\0\2\x08\x01", b"0", True),
        (b"\0\0\0\0\2\x08\x02", b"0", False),
        (b"\0\0\0\0\0", b"0", False),
        (b"", b"5", False),
        (b"\0\0\0\0\2\x08\x01", b"13", False),
    ],
)
async def test_a_grpc_check_goes_by_what_the_service_says(start, pool, settle, message, status, healthy):
    asked_for = []

    async def script(asked: Asked) -> None:
        asked_for.append((asked.get(b":path"), asked.get(b"te"), await asked.body()))
        asked.head(200, (b"content-type", b"application/grpc"))
        await asked.data(message)
        asked.end((b"grpc-status", status))

    origin = await start(script)
    check = {"type": "grpc", "service": "shop.Cart", "interval": "100ms", "fall": 1}
    site = await pool(origin.url, health=check)
    await settle(lambda: len(asked_for) > 1)
    assert asked_for[0] == (b"/grpc.health.v1.Health/Check", b"trailers", b"\0\0\0\0\x0b\x0a\x09shop.Cart")
    assert site.state()[0]["healthy"] is healthy
