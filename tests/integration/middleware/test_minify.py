"""Texts made smaller at a running node, and what of an answer keeps it as it is."""

from __future__ import annotations

import asyncio
import gzip
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body, Pipe
from edgeproxy.http.message import Response
from edgeproxy.pipeline.middleware import Services
from middleware.minify import Minify
from middleware.security_headers import SecurityHeaders
from tests.support.client import Answer, RawClient, ask
from tests.support.origin import answer
from tests.support.ports import wait_until
from tests.support.processes import EdgeProcess
from tests.support.site import Site, config, request
from tests.support.stages import exchange, services, stage

CSS = b"a { color : red }\n/* a comment */\n" * 20
SMALL = b"a{color:red}" * 20
ENDLESS = ("function f(){" + "".join(f"var a{n}={n};" for n in range(60_000)) + "}").encode()


def css(body: bytes | Body = CSS, status: int = 200, **fields: bytes) -> Response:
    headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
    return Response(status, {b"content-type": b"text/css", **headers}, body)


async def kept(response: Response, settings: dict[str, Any] | None = None, lent: Services | None = None) -> Response:
    """The answer as the store phase leaves it."""
    minify = stage(Minify, settings, lent or services())
    try:
        await minify.store(exchange(), response)
    finally:
        await minify.stop()
    return response


def series(lent: Services, name: str) -> dict[tuple[str, ...], float]:
    family = next(family for family in lent.metrics.dump() if family["name"] == name)
    return {tuple(labels): values[0] for labels, values in family["series"]}


async def read(body: bytes | Body) -> bytes:
    assert isinstance(body, Body)
    whole = b""
    while chunk := await body.read():
        whole += chunk
    return whole


async def test_a_text_is_made_smaller_and_its_fields_say_so() -> None:
    lent = services()
    response = await kept(css(etag=b'"a"', content_length=b"%d" % len(CSS), vary=b"cookie"), lent=lent)
    assert response.body == SMALL
    assert response.headers() == {b"content-type": b"text/css", b"etag": b'W/"a"', b"vary": b"cookie"}
    assert series(lent, "edgeproxy_minified_total") == {("css",): 1}
    assert series(lent, "edgeproxy_minified_bytes_total") == {("css",): len(CSS) - len(SMALL)}


async def test_a_weak_tag_stays_as_it_is() -> None:
    assert (await kept(css(etag=b'W/"a"'))).get(b"etag") == b'W/"a"'


@pytest.mark.parametrize(
    "response",
    [
        css(content_encoding=b"gzip"),
        css(cache_control=b"no-transform"),
        css(repr_digest=b"sha-256=:x:"),
        css(status=206, content_range=b"bytes 0-9/10"),
        css(content_type=b"text/css; charset=latin1"),
        css(content_type=b"text/plain"),
        css(b"a { color : red }"),
        css(CSS + b"\xff"),
        css(CSS + b"/*# sourceMappingURL=a.css.map */"),
        css(SMALL),
        css(CSS * 100),
        css(b""),
        Response(200, {}, CSS),
    ],
    ids=lambda response: repr(response.headers()),
)
async def test_what_stays_as_it_is(response: Response) -> None:
    before, body = response.headers() | {b"etag": b'"a"'}, response.body
    response.set(b"etag", b'"a"')
    assert (await kept(response, {"max_size": 20_000})).headers() == before
    assert response.body is body


async def test_types_that_are_not_named_stay_as_they_are() -> None:
    assert (await kept(css(), {"types": ["html", "js"]})).body == CSS
    assert (await kept(css(), {"types": "css"})).body == SMALL
    json = css(b'{ "a" : 1 }' + b" " * 300, content_type=b"application/json")
    assert (await kept(json)).body == b'{ "a" : 1 }' + b" " * 300
    assert (await kept(json, {"types": ["json"]})).body == b'{"a":1}'


async def test_a_text_that_cannot_be_read_is_kept_as_it_came_and_counted() -> None:
    lent = services()
    script = css(b"a = <b/>" + b" " * 300, content_type=b"text/javascript", etag=b'"a"')
    response = await kept(script, lent=lent)
    assert response.body == b"a = <b/>" + b" " * 300
    assert response.get(b"etag") == b'"a"'
    assert series(lent, "edgeproxy_minify_declined_total") == {("syntax",): 1}


async def test_a_text_that_takes_too_long_is_kept_as_it_came_and_counted() -> None:
    lent = services()
    response = await kept(css(ENDLESS, content_type=b"text/javascript"), {"time": "500ms", "max_size": "2MB"}, lent)
    assert response.body == ENDLESS
    assert series(lent, "edgeproxy_minify_declined_total") == {("time",): 1}


async def test_the_queue_is_bounded_and_counted() -> None:
    lent = services()
    minify = stage(Minify, {"queue": 1}, lent)
    first, second = css(), css()
    await asyncio.gather(minify.store(exchange(), first), minify.store(exchange(), second))
    assert series(lent, "edgeproxy_minifying") == {(): 0}
    await minify.stop()
    assert (first.body, second.body) == (SMALL, CSS)
    assert series(lent, "edgeproxy_minify_declined_total") == {("queue",): 1}


@pytest.mark.parametrize("length", [None, len(CSS)])
async def test_a_text_that_comes_in_pieces_is_read_in_whole(length: int | None) -> None:
    pipe = Pipe(length)
    task = asyncio.create_task(kept(css(pipe)))
    for start in range(0, len(CSS), 100):
        pipe.feed(CSS[start : start + 100])
        await asyncio.sleep(0)
    pipe.finish()
    assert (await task).body == SMALL


async def test_a_text_too_long_to_be_held_passes_as_it_came() -> None:
    announced, surprising = Pipe(2000), Pipe()
    for pipe in (announced, surprising):
        for _ in range(2):
            pipe.feed(b"x" * 1000)
    response = await kept(css(announced), {"max_size": 1024})
    assert response.body is announced
    response = await kept(css(surprising, etag=b'"a"'), {"max_size": 1024})
    surprising.feed(b"the rest")
    surprising.finish()
    assert await read(response.body) == b"x" * 2000 + b"the rest"
    assert response.get(b"etag") == b'"a"'


async def test_a_text_that_does_not_come_is_not_waited_for() -> None:
    pipe = Pipe(20)
    pipe.feed(b"a { color")
    response = await kept(css(pipe), {"time": "50ms", "min_size": 0})
    assert isinstance(response.body, Body)
    assert response.body.length == 20
    pipe.feed(b" : red } /*")
    pipe.finish()
    assert await read(response.body) == b"a { color : red } /*"


async def test_a_text_that_breaks_off_still_breaks_off() -> None:
    pipe = Pipe()
    pipe.feed(b"a { color")
    pipe.fail(EdgeError(Kind.RESPONSE_INCOMPLETE, "origin"))
    response = await kept(css(pipe), {"min_size": 0})
    assert isinstance(response.body, Body)
    assert await response.body.read() == b"a { color"
    with pytest.raises(EdgeError):
        await response.body.read()


@pytest.mark.parametrize(
    "settings",
    [{"types": []}, {"types": ["xml"]}, {"max_size": "1GB"}, {"time": 0}, {"queue": 0}, {"min_size": -1}],
    ids=str,
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(Minify, settings)


def test_a_policy_set_here_that_names_hashes_is_told_of() -> None:
    def missed(csp: str, types: list[str]) -> str:
        beside = {"security_headers": stage(SecurityHeaders, {"csp": csp})}
        return stage(Minify, {"types": types}).misses(beside)

    assert "hashes" in missed("script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='", ["html"])
    assert missed("script-src 'sha256-47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU='", ["css"]) == ""
    assert missed("script-src 'self'", ["html"]) == ""
    assert stage(Minify).misses({}) == ""


# At a running node.

MORE = b"Cache-Control: max-age=60"


@pytest.fixture(scope="module")
def site() -> Iterator[Site]:
    with Site() as site:
        yield site


@pytest.fixture(scope="module")
def edge(site: Site) -> Iterator[EdgeProcess]:
    with EdgeProcess(config(site.url, middleware={"minify": {}})) as edge:
        yield edge
        assert "Traceback" not in edge.logs()
        assert "internal error" not in edge.logs()


def get(edge: EdgeProcess, target: bytes, *fields: bytes) -> Answer:
    return ask(edge.address, request(target, *fields)).final[0]


def test_what_is_kept_is_kept_small(edge: EdgeProcess, site: Site) -> None:
    target = site.on(b"/a.css", answer(200, CSS, b"Content-Type: text/css", b'ETag: "a"', MORE))
    for _ in range(2):
        got = get(edge, target)
        assert got.body == SMALL
        assert got.get(b"etag") == b'W/"a"'
        assert got.all(b"content-length") == [b"%d" % len(SMALL)]
    assert len(site.to(target)) == 1
    assert get(edge, target, b'If-None-Match: "a"').status == 304
    assert get(edge, target, b"Range: bytes=0-2").body == SMALL[:3]


def test_what_is_kept_small_is_compressed_on_top(edge: EdgeProcess, site: Site) -> None:
    long = CSS * 10
    target = site.on(b"/long.css", answer(200, long, b"Content-Type: text/css", b'ETag: "a"', MORE))
    got = get(edge, target, b"Accept-Encoding: gzip")
    assert gzip.decompress(got.body) == SMALL * 10
    assert got.get(b"etag") == b'W/"a"'


def test_what_is_not_kept_passes_as_it_is(edge: EdgeProcess, site: Site) -> None:
    fields = (b"Content-Type: text/css", b'ETag: "a"', b"Cache-Control: no-store")
    target = site.on(b"/mine.css", answer(200, CSS, *fields))
    got = get(edge, target)
    assert got.body == CSS
    assert got.get(b"etag") == b'"a"'


def test_a_revalidated_text_stays_small(edge: EdgeProcess, site: Site) -> None:
    fields = (b"Content-Type: text/css", b'ETag: "v1"', b"Cache-Control: max-age=0, must-revalidate")

    def script(seen: Any) -> bytes:
        if seen.get(b"if-none-match") in {b'"v1"', b'W/"v1"'}:
            return b'HTTP/1.1 304 Not Modified\r\nETag: "v1"\r\nCache-Control: max-age=0, must-revalidate\r\n\r\n'
        return answer(200, CSS, *fields)

    target = site.on(b"/valid.css", script)
    for _ in range(3):
        got = get(edge, target)
        assert got.body == SMALL
        assert got.get(b"etag") == b'W/"v1"'
    assert [seen.get(b"if-none-match") is not None for seen in site.to(target)] == [False, True, True]


def test_a_text_that_streams_reaches_the_client_although_it_is_never_whole(edge: EdgeProcess, site: Site) -> None:
    """The origin sends a part and waits: what came is passed on after the time set, and the rest as it comes."""
    go_on = threading.Event()

    def script(_: Any) -> Iterator[bytes]:
        yield b"HTTP/1.1 200 OK\r\nContent-Type: text/css\r\nTransfer-Encoding: chunked\r\n" + MORE + b"\r\n\r\n"
        yield b"%x\r\n%b\r\n" % (len(CSS), CSS)
        go_on.wait(20)
        yield b"3\r\nend\r\n0\r\n\r\n"

    target = site.on(b"/slow.css", script)
    with RawClient(edge.address) as client:
        client.send(request(target))
        client.read_until(lambda received: CSS in received, 10)
        assert CSS in client.received
        go_on.set()
        assert client.answers(1).final[0].body == CSS + b"end"


def parents_of_minifiers() -> set[int]:
    """The processes that have started one to make texts smaller in."""
    found = set()
    for path in Path("/proc").glob("[0-9]*"):
        try:
            if b"minifier_process" in (path / "cmdline").read_bytes():
                found.add(int((path / "stat").read_text().split()[3]))
        except OSError:
            continue
    return found


def test_its_process_is_gone_when_a_reload_takes_the_stage_out(site: Site) -> None:
    target = site.on(b"/b.css", answer(200, CSS, b"Content-Type: text/css", MORE))
    with EdgeProcess(config(site.url, middleware={"minify": {}}, workers=1)) as edge:
        assert get(edge, target).body == SMALL
        (worker,) = edge.worker_pids()
        assert worker in parents_of_minifiers()
        edge.write(config(site.url, workers=1))
        edge.reload()
        wait_until(lambda: worker not in parents_of_minifiers(), "its process is gone")
        assert get(edge, target).body == SMALL
