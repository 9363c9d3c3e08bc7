"""Dictionaries in the stage that uses them, with the cache behind it: who is answered in dcz, and with which copy."""

from __future__ import annotations

import asyncio
import dataclasses
import random
from pathlib import Path
from typing import Any

import brotli
import pytest

from edgeproxy.cache.purge import Purge
from edgeproxy.clock import ManualClock
from edgeproxy.compression import dictionaries
from edgeproxy.http.body import Body, Pipe
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.runner import serve
from middleware.cache import Cache
from middleware.compression import Compression
from tests.support.stages import Client, exchange, route, services, stage
from tests.support.versions import available, script, undo_dcz

OLD, NEW = script(1), script(2)
BROWSER = b"gzip, deflate, br, zstd, dcb, dcz"
HOST = b"localhost"
JS: Headers = {b"content-type": b"text/javascript", b"cache-control": b"max-age=600", b"etag": b'"1"'}
HAS = {b"accept-encoding": BROWSER, b"available-dictionary": available(OLD)}


class Edge:
    """The two stages in front of an origin that a test scripts."""

    name = "origin"

    def __init__(self, folder: Path, **settings: Any) -> None:
        self.clock = ManualClock()
        self.lent = dataclasses.replace(services(self.clock), folder=folder)
        settings = {"match": "/app.*.js"} | settings
        stages = [stage(Compression, {"dictionaries": settings}, self.lent), stage(Cache, {}, self.lent)]
        self.route = route(stages, self)
        self.asked: list[Request] = []
        self.answers: dict[bytes, tuple[int, Headers, bytes | Body]] = {
            b"/app.1.js": (200, JS, OLD),
            b"/app.2.js": (200, JS, NEW),
        }

    async def fetch(self, x: Exchange) -> Response:
        self.asked.append(x.request.with_headers(dict(x.request.headers)))
        status, headers, body = self.answers[x.request.target]
        wanted = x.request.headers.get(b"if-none-match", b"").removeprefix(b"W/")
        if wanted and wanted == headers.get(b"etag"):
            return Response(304, dict(headers))
        return Response(status, dict(headers), body)

    async def get(
        self, target: bytes, headers: Headers, method: bytes = b"GET", authority: bytes = HOST, scheme: bytes = b"http"
    ) -> Client:
        x = exchange(target, dict(headers), method=method, authority=authority, scheme=scheme, started=0.0)
        x.route = self.route
        client = Client()
        serve(x, client)
        return await client.done()

    async def visit(self, headers: Headers | None = None, target: bytes = b"/app.1.js", **more: Any) -> Client:
        """Somebody without a dictionary; what this sets off has ended afterwards."""
        client = await self.get(target, {b"accept-encoding": b"br"} if headers is None else headers, **more)
        await self.settle()
        return client

    async def settle(self) -> None:
        """Wait for the end of what runs aside."""
        while self.lent.cache._tasks:
            await asyncio.gather(*self.lent.cache._tasks)

    def counted(self, name: str = "edgeproxy_dictionaries_total") -> dict[str, float]:
        """A counter's values by its one label."""
        families = {family["name"]: family["series"] for family in self.lent.metrics.dump()}
        return {labels[0]: values[0] for labels, values in families[name]}


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path)


def damage(folder: Path) -> None:
    for file in folder.glob("dictionaries/*"):
        file.write_bytes(file.read_bytes()[:-1])


def in_dcz(client: Client) -> bool:
    return client.field(b"content-encoding") == b"dcz"


async def test_who_has_the_earlier_version_gets_the_difference(edge: Edge) -> None:
    first = await edge.visit()
    assert first.field(b"use-as-dictionary") == b'match="/app.*.js"'
    assert brotli.decompress(first.body) == OLD
    client = await edge.get(b"/app.2.js", HAS)
    assert undo_dcz(client.body, OLD) == NEW
    assert len(client.body) < len(NEW) / 100
    assert client.field(b"content-encoding") == b"dcz"
    assert client.field(b"vary") == b"accept-encoding, available-dictionary"
    assert client.field(b"etag") == b'W/"1"'
    assert client.field(b"use-as-dictionary") == b'match="/app.*.js"'
    assert client.field(b"content-length") is None


async def test_the_difference_is_kept_and_a_hit_takes_no_task(edge: Edge) -> None:
    await edge.visit()
    first = await edge.get(b"/app.2.js", HAS)
    asked = len(edge.asked)
    spelled = HAS | {b"accept-encoding": b"dcz, zstd, br, gzip", b"available-dictionary": available(OLD) + b";a=1"}
    again = await edge.get(b"/app.2.js", spelled | {b"dictionary-id": b'"v1"'})
    assert (again.body, again.task, len(edge.asked)) == (first.body, None, asked)
    head = await edge.get(b"/app.2.js", HAS, b"HEAD")
    assert in_dcz(head)
    known = await edge.get(b"/app.2.js", HAS | {b"if-none-match": b'W/"1"'})
    assert known.status == 304
    assert known.field(b"vary") == b"accept-encoding, available-dictionary"


async def test_copies_for_all_others_stay_beside_it(edge: Edge) -> None:
    await edge.visit()
    plain = await edge.visit(target=b"/app.2.js")
    assert in_dcz(await edge.get(b"/app.2.js", HAS))
    again = await edge.get(b"/app.2.js", {b"accept-encoding": b"br"})
    assert (again.body, again.task) == (plain.body, None)
    assert again.field(b"vary") == b"accept-encoding"


async def test_the_origin_is_asked_for_the_plain_answer_and_hears_of_no_dictionary(edge: Edge) -> None:
    await edge.visit()
    await edge.get(b"/app.2.js", HAS | {b"dictionary-id": b'"v1"'})
    headers = edge.asked[-1].headers
    assert headers[b"accept-encoding"] == b"identity"
    assert not {b"available-dictionary", b"dictionary-id"} & headers.keys()


@pytest.mark.parametrize(
    ("fields", "how"),
    [
        ({b"available-dictionary": available(b"made up")}, {}),
        ({b"available-dictionary": b"nonsense"}, {}),
        ({b"available-dictionary": b":AAAA:"}, {}),
        ({b"accept-encoding": b"gzip, br, zstd"}, {}),
        ({b"accept-encoding": b"gzip, br, zstd, dcz;q=0"}, {}),
        ({b"accept-encoding": b"gzip, br, zstd, dcz;q=0.5"}, {}),
        ({b"accept-encoding": b"dcz"}, {}),
        ({b"range": b"bytes=0-9"}, {}),
        ({b"authorization": b"Basic eDp5"}, {}),
        ({b"sec-fetch-dest": b"style"}, {}),
        ({b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"no-cors"}, {}),
        ({}, {"authority": b"other.localhost"}),
        ({}, {"scheme": b"https"}),
    ],
)
async def test_a_dictionary_that_is_not_to_be_used_leaves_no_trace(
    tmp_path: Path, fields: Headers, how: dict[str, bytes]
) -> None:
    edge = Edge(tmp_path, match=[{"path": "/app.*.js", "destinations": "script"}])
    await edge.visit()
    assert in_dcz(await edge.get(b"/app.2.js", HAS)), "there is a copy that it might be answered with"
    client = await edge.get(b"/app.2.js", HAS | {b"dictionary-id": b'"v1"'} | fields, **how)
    assert not in_dcz(client)
    headers = edge.asked[-1].headers
    assert not {b"available-dictionary", b"dictionary-id"} & headers.keys()
    assert b"dc" not in headers[b"accept-encoding"]


async def test_nobody_makes_copies_with_made_up_dictionaries(edge: Edge) -> None:
    await edge.visit()
    words = random.Random(3)
    for _ in range(5):
        made_up = {b"available-dictionary": available(words.randbytes(8)), b"dictionary-id": b'"%d"' % words.random()}
        await edge.get(b"/app.2.js", {b"accept-encoding": BROWSER} | made_up)
    await edge.get(b"/app.2.js", {b"accept-encoding": b"gzip, deflate, br, zstd"})
    assert len(edge.asked) == 2


async def test_plain_http_gets_no_difference(edge: Edge) -> None:
    """RFC 9842 §8: secure contexts only."""
    for scheme, expected in ((b"http", False), (b"https", True)):
        await edge.visit(authority=b"a.test", scheme=scheme)
        client = await edge.get(b"/app.2.js", HAS, authority=b"a.test", scheme=scheme)
        assert in_dcz(client) is expected


async def test_urls_it_is_not_for_are_answered_without(edge: Edge) -> None:
    await edge.visit()
    edge.answers[b"/other.js"] = (200, JS, NEW)
    assert not in_dcz(await edge.get(b"/other.js", HAS))


async def test_a_dictionary_expires(tmp_path: Path) -> None:
    edge = Edge(tmp_path, keep="1h")
    await edge.visit()
    edge.clock.advance(3599)
    assert in_dcz(await edge.get(b"/app.2.js", HAS))
    edge.clock.advance(1)
    assert not in_dcz(await edge.get(b"/app.2.js", HAS))


@pytest.mark.parametrize(
    "fields",
    [
        {b"cache-control": b"max-age=600, private"},
        {b"vary": b"cookie"},
        {b"set-cookie": b"a=1"},
        {b"cache-control": b"max-age=600, no-transform"},
        {b"content-encoding": b"gzip"},
        {b"repr-digest": b"sha-256=:x:"},
        {b"content-type": b"image/jpeg"},
    ],
)
async def test_answers_that_are_not_to_be_compressed_with_one(edge: Edge, fields: Headers) -> None:
    await edge.visit()
    edge.answers[b"/app.2.js"] = (200, JS | fields, NEW)
    assert not in_dcz(await edge.get(b"/app.2.js", HAS))


async def test_what_is_not_kept_is_compressed_without(edge: Edge) -> None:
    await edge.visit()
    edge.answers[b"/app.2.js"] = (200, JS | {b"cache-control": b"no-store"}, NEW)
    for _ in range(2):  # the second time it is known to be none that is kept
        assert (await edge.get(b"/app.2.js", HAS)).field(b"content-encoding") == b"zstd"
    assert edge.asked[-1].headers == {b"accept-encoding": b"gzip, deflate, br, zstd"}


async def test_a_dictionary_that_does_not_help_is_not_used(edge: Edge) -> None:
    await edge.visit()
    other = random.Random(4).randbytes(20_000).hex().encode()
    edge.answers[b"/app.2.js"] = (200, JS, other)
    client = await edge.get(b"/app.2.js", HAS)
    assert client.field(b"content-encoding") == b"zstd"
    assert client.field(b"vary") == b"accept-encoding, available-dictionary"
    assert (await edge.get(b"/app.2.js", HAS)).task is None


async def test_one_that_left_the_shelf_meanwhile_is_done_without(edge: Edge, tmp_path: Path) -> None:
    await edge.visit()
    client = await edge.get(b"/app.2.js", HAS)
    damage(tmp_path)
    edge.answers[b"/app.3.js"] = (200, JS, script(3))
    client = await edge.get(b"/app.3.js", HAS)
    assert client.field(b"content-encoding") == b"zstd"


async def test_pages_of_other_origins_share_what_all_may_read(edge: Edge) -> None:
    cross = HAS | {b"sec-fetch-site": b"cross-site", b"sec-fetch-mode": b"cors", b"origin": b"https://b.test"}
    for_all = JS | {b"access-control-allow-origin": b"*"}
    edge.answers[b"/app.1.js"] = (200, for_all, OLD)
    await edge.visit()
    edge.answers[b"/app.3.js"] = (200, for_all, script(3))
    assert in_dcz(await edge.get(b"/app.3.js", cross))
    assert not in_dcz(await edge.get(b"/app.2.js", HAS)), "a page of another origin would be given the same copy"


async def test_bodies_are_compressed_as_they_stream(edge: Edge) -> None:
    await edge.visit()
    pipe = Pipe(len(NEW))
    edge.answers[b"/app.2.js"] = (200, JS, pipe)
    x = exchange(b"/app.2.js", dict(HAS), authority=HOST, started=0.0)
    x.route = edge.route
    client = Client()
    serve(x, client)
    for start in range(0, len(NEW), 5000):
        pipe.feed(NEW[start : start + 5000])
        await asyncio.sleep(0)
    pipe.finish()
    await client.done()
    assert in_dcz(client)
    assert undo_dcz(client.body, OLD) == NEW
    again = await edge.visit(HAS, b"/app.2.js")
    assert undo_dcz(again.body, OLD) == NEW
    assert edge.counted() == {"kept": 2}, "it is a dictionary itself by now"


@pytest.mark.interpreted
async def test_bodies_in_work_are_bounded(edge: Edge, monkeypatch: pytest.MonkeyPatch) -> None:
    await edge.visit()
    monkeypatch.setattr(dictionaries, "_AT_ONCE", 1)
    for n in range(3, 6):
        edge.answers[b"/app.%d.js" % n] = (200, JS, script(n))
        assert in_dcz(await edge.get(b"/app.%d.js" % n, HAS))
    monkeypatch.setattr(dictionaries, "_AT_ONCE", 0)
    assert (await edge.get(b"/app.2.js", HAS)).field(b"content-encoding") == b"zstd"
    assert edge.counted("edgeproxy_compression_declined_total") == {"queue": 1}
    assert edge.counted("edgeproxy_compressed_total") == {"br": 1, "dcz": 3, "zstd": 1}


@pytest.mark.interpreted
async def test_bodies_longer_than_a_client_has_room_for_are_compressed_without(
    edge: Edge, monkeypatch: pytest.MonkeyPatch
) -> None:
    await edge.visit()
    monkeypatch.setattr(dictionaries.dcz, "LONGEST", len(NEW) - 1)
    assert (await edge.get(b"/app.2.js", HAS)).field(b"content-encoding") == b"zstd"


async def test_a_difference_is_revalidated_like_any_answer(edge: Edge) -> None:
    await edge.visit()
    first = await edge.get(b"/app.2.js", HAS)
    edge.clock.advance(601)
    again = await edge.visit(HAS, b"/app.2.js")
    assert edge.asked[-1].headers[b"if-none-match"] == b'W/"1"'
    assert again.body == first.body
    assert in_dcz(again)
    assert (await edge.get(b"/app.2.js", HAS)).task is None


@pytest.mark.parametrize(("kind", "value"), [("url", b"http://localhost/app.2.js"), ("tag", b"release-2")])
async def test_a_purge_takes_the_differences_along(edge: Edge, kind: Any, value: bytes) -> None:
    await edge.visit()
    edge.answers[b"/app.2.js"] = (200, JS | {b"cache-tag": b"release-2"}, NEW)
    assert (await edge.get(b"/app.2.js", HAS)).field(b"cache-tag") is None
    edge.lent.cache.purge(Purge(kind, value, soft=False, at=edge.clock.wall() + 1))
    asked = len(edge.asked)
    assert in_dcz(await edge.get(b"/app.2.js", HAS))
    assert len(edge.asked) == asked + 1


def test_without_dictionaries_the_stage_has_no_request_and_no_fetch_hook(edge: Edge) -> None:
    lent = services()
    for settings in ({}, {"dictionaries": "off"}, {"dictionaries": {}}):
        assert route([stage(Compression, settings, lent)]).chain.request == ()
        assert route([stage(Compression, settings, lent)]).chain.fetch == ()
    assert len(edge.route.chain.request) == 2
    watched = stage(Compression, {"mode": "observe", "dictionaries": {}}, edge.lent)
    assert route([watched]).chain.request == ()
