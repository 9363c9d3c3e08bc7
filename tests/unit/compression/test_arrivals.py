"""Which answers become dictionaries, and what becomes of those that say they are some."""

from __future__ import annotations

import asyncio
import gzip
from pathlib import Path

import pytest

from edgeproxy.compression import arrivals
from edgeproxy.compression.shelf import Shelf
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe
from edgeproxy.http.headers import Headers
from tests.support.versions import script, undo_dcz
from tests.unit.compression.test_dictionaries import HAS, JS, NEW, OLD, Edge, in_dcz

USE = b"use-as-dictionary"


@pytest.fixture
def edge(tmp_path: Path) -> Edge:
    return Edge(tmp_path, match=[])


async def test_origins_may_say_it_themselves(edge: Edge) -> None:
    edge.answers[b"/app.1.js"] = (200, JS | {USE: b'match="app.*.js", match-dest=("script"), id="v1"'}, OLD)
    first = await edge.visit()
    assert first.field(USE) == b'match="app.*.js", match-dest=("script"), id="v1"'
    assert in_dcz(await edge.get(b"/app.2.js", HAS))
    assert not in_dcz(await edge.get(b"/app.2.js", HAS | {b"sec-fetch-dest": b"style"}))
    assert edge.counted() == {"kept": 1}


async def test_without_a_word_of_anybody_an_answer_is_none(edge: Edge) -> None:
    assert (await edge.visit()).field(USE) is None
    assert edge.counted() == {}


async def test_the_first_rule_that_fits_speaks_where_the_origin_is_silent(tmp_path: Path) -> None:
    edge = Edge(tmp_path, match=["/app.:version.js", {"path": "/*", "destinations": ["script", "style"]}])
    assert (await edge.visit()).field(USE) == b'match="/app.:version.js"'
    edge.answers[b"/x.js"] = (200, JS, OLD)
    assert (await edge.visit(target=b"/x.js")).field(USE) == b'match="/*", match-dest=("script" "style")'
    edge.answers[b"/app.1.js"] = (200, JS | {USE: b'match="/own"'}, OLD)
    edge.clock.advance(601)
    edge.answers[b"/app.3.js"] = (200, JS | {USE: b'match="/own"'}, OLD)
    assert (await edge.visit(target=b"/app.3.js")).field(USE) == b'match="/own"'


@pytest.mark.parametrize("field", [b'match="/(.*)"', b"nonsense", b'match="https://b.test/*"', b'match="/a", type=zip'])
async def test_what_is_not_understood_goes_on_to_clients_and_to_no_shelf(edge: Edge, field: bytes) -> None:
    edge.answers[b"/app.1.js"] = (200, JS | {USE: field}, OLD)
    assert (await edge.visit()).field(USE) == field
    assert edge.counted() == {"not_understood": 1}


@pytest.mark.parametrize(
    ("status", "fields"),
    [
        (404, {}),
        (200, {b"cache-control": b"max-age=60, private"}),
        (200, {b"cache-control": b"no-store"}),
        (200, {b"set-cookie": b"a=1"}),
        (200, {b"vary": b"cookie"}),
    ],
)
async def test_only_answers_for_everybody_are_dictionaries(tmp_path: Path, status: int, fields: Headers) -> None:
    edge = Edge(tmp_path)
    edge.answers[b"/app.1.js"] = (status, JS | fields, OLD)
    assert (await edge.visit()).field(USE) is None
    assert edge.counted() == {}


async def test_nor_are_answers_to_somebody(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    edge.answers[b"/app.1.js"] = (200, JS | {b"cache-control": b"public, max-age=60"}, OLD)
    assert (await edge.visit({b"authorization": b"Basic eDp5"})).field(USE) is None
    assert edge.counted() == {}


async def test_a_long_answer_is_none(tmp_path: Path) -> None:
    edge = Edge(tmp_path, largest="10KB")
    assert (await edge.visit()).field(USE) is None
    assert edge.counted() == {"too_long": 1}


async def test_a_stream_is_collected_as_it_passes(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    pipe = Pipe()
    edge.answers[b"/app.1.js"] = (200, JS, pipe)
    for start in range(0, len(OLD), 7000):
        pipe.feed(OLD[start : start + 7000])
    pipe.finish()
    assert (await edge.visit({})).body == OLD
    assert undo_dcz((await edge.get(b"/app.2.js", HAS)).body, OLD) == NEW


async def test_a_stream_that_grows_too_long_is_none(tmp_path: Path) -> None:
    edge = Edge(tmp_path, largest="10KB")
    pipe = Pipe()
    edge.answers[b"/app.1.js"] = (200, JS, pipe)
    for start in range(0, len(OLD), 7000):
        pipe.feed(OLD[start : start + 7000])
    pipe.finish()
    assert (await edge.visit({})).body == OLD
    assert edge.counted() == {"too_long": 1}


async def test_a_body_that_broke_off_is_none(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    pipe = Pipe()
    edge.answers[b"/app.1.js"] = (200, JS, pipe)
    pipe.feed(OLD[:5000])
    pipe.fail(EdgeError(Kind.INTERNAL, "origin"))
    await edge.visit({})
    assert edge.counted() == {}


async def test_what_the_origin_has_compressed_is_asked_for_once_more_as_it_is(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    packed = {b"content-encoding": b"gzip", b"vary": b"accept-encoding"}

    async def fetch(x: object) -> object:
        plain = getattr(x, "request").headers.get(b"accept-encoding") == b"identity"  # noqa: B009
        edge.answers[b"/app.1.js"] = (200, JS if plain else JS | packed, OLD if plain else gzip.compress(OLD))
        return await Edge.fetch(edge, x)  # type: ignore[arg-type]

    edge.fetch = fetch  # type: ignore[assignment,method-assign]
    first = await edge.visit({b"accept-encoding": b"gzip", b"cookie": b"a=1"})
    assert first.field(USE) == b'match="/app.*.js"'
    assert first.field(b"content-encoding") == b"gzip"
    assert [request.headers.get(b"cookie") for request in edge.asked] == [b"a=1", None]
    assert in_dcz(await edge.get(b"/app.2.js", HAS))


async def test_an_origin_that_always_compresses_is_asked_no_further(tmp_path: Path) -> None:
    edge = Edge(tmp_path)
    packed = {b"content-encoding": b"gzip", b"vary": b"accept-encoding"}
    edge.answers[b"/app.1.js"] = (200, JS | packed, gzip.compress(OLD))
    await edge.visit({b"accept-encoding": b"gzip"})
    assert len(edge.asked) == 2
    assert edge.counted() == {"failed": 1}


async def test_what_the_origin_then_says_has_to_be_the_answer(tmp_path: Path) -> None:
    edge = Edge(tmp_path)

    async def fetch(x: object) -> object:
        packed = {b"content-encoding": b"gzip", b"vary": b"accept-encoding"}
        edge.answers[b"/app.1.js"] = (404, JS, OLD) if edge.asked else (200, JS | packed, gzip.compress(OLD))
        return await Edge.fetch(edge, x)  # type: ignore[arg-type]

    edge.fetch = fetch  # type: ignore[assignment,method-assign]
    await edge.visit({b"accept-encoding": b"gzip"})
    assert len(edge.asked) == 2
    assert edge.counted() == {"failed": 1}


async def test_an_origin_that_fails_meanwhile_is_no_fault_of_ours(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    edge = Edge(tmp_path)

    async def fetch(x: object) -> object:
        if edge.asked:
            raise EdgeError(Kind.CONNECT_REFUSED, "origin")
        return await Edge.fetch(edge, x)  # type: ignore[arg-type]

    edge.fetch = fetch  # type: ignore[assignment,method-assign]
    packed = {b"content-encoding": b"gzip", b"vary": b"accept-encoding"}
    edge.answers[b"/app.1.js"] = (200, JS | packed, gzip.compress(OLD))
    await edge.visit({b"accept-encoding": b"gzip"})
    assert edge.counted() == {"failed": 1}
    assert caplog.messages == []


async def test_a_full_folder_costs_dictionaries_and_nothing_else(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    edge = Edge(tmp_path)

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Shelf, "put", full)
    assert (await edge.visit()).status == 200
    assert edge.counted() == {"failed": 1}
    assert caplog.messages == []


async def test_arrivals_in_work_are_bounded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arrivals, "_AT_ONCE", 2)
    edge = Edge(tmp_path)
    for n in range(3, 7):
        edge.answers[b"/app.%d.js" % n] = (200, JS, script(n))
    await asyncio.gather(*(edge.get(b"/app.%d.js" % n, {}) for n in range(3, 7)))
    await edge.settle()
    outcomes = edge.counted()
    assert outcomes["busy"] >= 1
    assert sum(outcomes.values()) == 4
    for _ in range(3):
        edge.clock.advance(601)
        await edge.visit()
    assert edge.counted() == outcomes | {"kept": outcomes["kept"] + 1}
