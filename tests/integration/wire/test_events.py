"""Server-sent events: each passes at once, whatever stands in their way, to as many as will have them."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, cast

import aiohttp
import httpx
import pytest

from tests.support.browser import browser_page, trusting
from tests.support.certificates import Authority, Pair
from tests.support.client import RawClient
from tests.support.events import EventOrigin, Stream, event_origin
from tests.support.inprocess import InProcessEdge
from tests.support.site import config, request

# Whatever reads bodies, keeps them or puts others in their place.
STAGES = {
    "compression": {"types": ["text/*", "application/json"], "min_size": 0},
    "minify": True,
    "images": True,
    "prefetch": True,
    "error_pages": {"pages": [{"status": "5xx", "html": "<h1>{status}</h1>"}], "origin": True},
    "early_hints": True,
    "security_headers": True,
}
PATIENCE = 20.0


@asynccontextmanager
async def streaming(cache_control: str = "no-cache", **more: Any) -> AsyncIterator[tuple[EventOrigin, InProcessEdge]]:
    async with event_origin(cache_control) as origin:
        edge = InProcessEdge(config(origin.url, middleware=STAGES, **more))
        await asyncio.to_thread(edge.__enter__)
        try:
            yield origin, edge
            assert edge.faults == []
        finally:
            await asyncio.to_thread(edge.__exit__)


async def soon(work: Any) -> Any:
    return await asyncio.wait_for(work, PATIENCE)


async def lockstep(stream: Stream, answer: aiohttp.ClientResponse, events: int = 5) -> None:
    """No event is sent before the one before it has arrived."""
    for number in range(events):
        await stream.send(str(number))
        assert await soon(answer.content.readuntil(b"\n\n")) == b"data: %d\n\n" % number


def url(edge: InProcessEdge, path: str = "/events") -> str:
    return f"http://127.0.0.1:{edge.port}{path}"


@pytest.mark.parametrize("cache_control", ["no-cache", "public, max-age=60", "no-transform"])
async def test_each_event_arrives_before_the_next_is_sent(cache_control: str) -> None:
    async with streaming(cache_control) as (origin, edge), aiohttp.ClientSession() as client:
        answer = await soon(client.get(url(edge)))
        stream = await soon(origin.opened.get())
        assert answer.headers["content-type"] == "text/event-stream; charset=utf-8"
        assert "content-encoding" not in answer.headers
        await lockstep(stream, answer)
        stream.ended.set()
        assert await soon(answer.content.read()) == b""


@pytest.mark.parametrize("cache_control", ["no-cache", "public, max-age=60"])
async def test_who_asks_meanwhile_has_a_stream_of_its_own(cache_control: str) -> None:
    """Neither waits for the other's, which has no end, nor for its first event."""
    async with streaming(cache_control) as (origin, edge), aiohttp.ClientSession() as client:
        answers = await soon(asyncio.gather(*[client.get(url(edge)) for _ in range(8)]))
        streams = [await soon(origin.opened.get()) for _ in answers]
        for stream in streams:
            await stream.send("first")
        for answer in answers:
            assert await soon(answer.content.readuntil(b"\n\n")) == b"data: first\n\n"
            assert "stored" not in answer.headers["cache-status"]
            answer.close()


async def test_many_are_open_at_once_and_pages_are_served_beside_them() -> None:
    async with streaming() as (origin, edge):
        connector = aiohttp.TCPConnector(limit=0)
        async with aiohttp.ClientSession(connector=connector) as client:
            answers = await soon(asyncio.gather(*[client.get(url(edge)) for _ in range(200)]))
            streams = [await soon(origin.opened.get()) for _ in answers]
            for number in range(2):
                for stream in streams:
                    await stream.send(str(number))
                for answer in answers:
                    assert await soon(answer.content.readuntil(b"\n\n")) == b"data: %d\n\n" % number
                async with client.get(url(edge, "/plain")) as plain:
                    assert await soon(plain.text()) == "plain"
            for answer in answers:
                answer.close()


async def test_one_who_does_not_read_holds_its_own_stream_back_and_no_other() -> None:
    async with streaming() as (origin, edge), aiohttp.ClientSession(read_bufsize=4096) as client:
        idle = await soon(client.get(url(edge)))
        held = await soon(origin.opened.get())
        flood = asyncio.create_task(write_until_held(held))
        other = await soon(client.get(url(edge)))
        await lockstep(await soon(origin.opened.get()), other)
        await soon(flood)
        await lockstep_after(held, idle)
        idle.close()
        other.close()


HELD = 0.3  # seconds in which nothing is taken
LINE = b": " + b"x" * 1021 + b"\n"


async def write_until_held(stream: Stream) -> int:
    """Write comments until nobody takes more, which has to be before they are too many to be held anywhere."""
    for written in range(2_000):
        try:
            await asyncio.wait_for(asyncio.shield(asyncio.ensure_future(stream.write(LINE * 64))), HELD)
        except TimeoutError:
            return written
    raise AssertionError("nothing held it back")


async def lockstep_after(stream: Stream, answer: aiohttp.ClientResponse) -> None:
    """Read what was held back; what comes then arrives."""
    sending = asyncio.ensure_future(stream.send("late"))
    while (line := await soon(answer.content.readline())) != b"data: late\n":
        assert line == LINE
    await soon(sending)


async def test_the_origin_hears_that_a_reader_has_left() -> None:
    async with streaming() as (origin, edge), aiohttp.ClientSession() as client:
        answer = await soon(client.get(url(edge)))
        stream = await soon(origin.opened.get())
        await lockstep(stream, answer, 1)
        answer.close()
        await soon(stream.left.wait())


async def test_silence_ends_none_that_ends_other_answers() -> None:
    async with event_origin() as origin:
        timeouts = {"between_bytes": "50ms", "total": "100ms"}
        settings = config(origin.url, limits={"idle_timeout": "100ms", "write_timeout": "100ms"})
        settings["pools"]["site"]["timeouts"] = timeouts
        settings["listeners"] = [{"address": "127.0.0.1:1", "protocols": ["h1", "h2"]}]
        edge = InProcessEdge(settings)
        await asyncio.to_thread(edge.__enter__)
        try:
            async with (
                aiohttp.ClientSession() as one,
                one.get(url(edge)) as answer,
                httpx.AsyncClient(http1=False, http2=True, timeout=PATIENCE) as other,
                other.stream("GET", url(edge)) as http2,
            ):
                first, second = await soon(origin.opened.get()), await soon(origin.opened.get())
                chunks = http2.aiter_raw()
                for number in range(2):
                    await asyncio.sleep(0.7)  # longer than any of them, and than the next look at clients' deadlines
                    await lockstep(first, answer, 1)
                    await second.send(str(number))
                    assert await next_event(chunks) == b"data: %d\n\n" % number
        finally:
            await asyncio.to_thread(edge.__exit__)


def secure(folder: Path) -> tuple[Pair, ssl.SSLContext, dict[str, Any]]:
    """A certificate, what trusts it, and a listener that shows it."""
    authority = Authority(folder)
    pair = authority.issue("127.0.0.1")
    tls = {"certificates": [{"certificate": str(pair.certificate), "key": str(pair.key)}]}
    return pair, ssl.create_default_context(cafile=str(authority.file)), {"address": "127.0.0.1:1", "tls": tls}


async def next_event(chunks: AsyncIterator[bytes]) -> bytes:
    event = b""
    while not event.endswith(b"\n\n"):
        event += await soon(anext(chunks))
    return event


async def test_streams_on_one_http_2_connection_have_each_event_before_the_next_is_sent(tmp_path: Path) -> None:
    _, trust, listener = secure(tmp_path)
    limits = httpx.Limits(max_connections=1)
    async with (
        streaming(listeners=[listener]) as (origin, edge),
        httpx.AsyncClient(http2=True, verify=trust, limits=limits, timeout=PATIENCE) as client,
        AsyncExitStack() as open_streams,
    ):
        where = f"https://127.0.0.1:{edge.port}"
        answers = [await open_streams.enter_async_context(client.stream("GET", f"{where}/events")) for _ in range(20)]
        streams = [await soon(origin.opened.get()) for _ in answers]
        assert {answer.http_version for answer in answers} == {"HTTP/2"}
        readers = [answer.aiter_raw() for answer in answers]
        for number in range(3):
            for stream in streams:
                await stream.send(str(number))
            for reader in readers:
                assert await next_event(reader) == b"data: %d\n\n" % number
            assert (await client.get(f"{where}/plain")).text == "plain"


@pytest.mark.parametrize("protocol", [pytest.param("http/1.1", marks=pytest.mark.slow), "h2"])
async def test_a_browsers_event_source_has_each_event_before_the_next_is_sent(protocol: str, tmp_path: Path) -> None:
    pair, _, listener = secure(tmp_path)
    listeners = {"listeners": [listener]} if protocol == "h2" else {}
    scheme = "https" if protocol == "h2" else "http"
    async with streaming(**listeners) as (origin, edge), browser_page(flags=[trusting(pair.certificate)]) as page:
        await page.open(f"{scheme}://127.0.0.1:{edge.port}/")
        stream = await soon(origin.opened.get())
        for number in range(5):
            await stream.send(str(number))
            assert await soon(origin.acknowledged.get()) == str(number)
        assert page.responses[f"{scheme}://127.0.0.1:{edge.port}/"]["protocol"] == protocol
        assert await page.run("[seen.join(), source.readyState]") == ["0,1,2,3,4", 1]
        assert page.complaints == []


async def test_a_reader_that_closes_its_tls_has_left_and_nobody_writes_a_line_about_it(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    _, trust, listener = secure(tmp_path)
    async with streaming(listeners=[listener]) as (origin, edge):
        with RawClient(edge.address, tls=trust, server_name="127.0.0.1") as client:
            client.send(request(b"/events"))
            stream = await soon(origin.opened.get())
            await asyncio.to_thread(client.read_until, lambda received: b"\r\n\r\n" in received)
            with contextlib.suppress(OSError):  # the proxy need not say that it ends as well
                await asyncio.to_thread(cast("ssl.SSLSocket", client.socket).unwrap)
            await soon(stream.left.wait())
    assert [record.message for record in caplog.records if record.levelname != "DEBUG"] == []
