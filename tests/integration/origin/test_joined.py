"""Large answers in parts, from raw-socket origins that serve ranges, and origins that only seem to."""

from __future__ import annotations

import asyncio
import hashlib
import re

import pytest

from edgeproxy.errors import EdgeError
from edgeproxy.http.body import HIGH_WATER
from edgeproxy.origin import joined

MB = 1_000_000
BODY = b"".join(hashlib.sha256(b"%d" % i).digest() for i in range(3 * MB // 32 + 7))
RANGES = {"from": "1MB", "parts": 3, "size": "256KB"}
_RANGE = re.compile(rb"bytes=(\d+)-(\d+)")


class Files:
    """What an origin does with a request for the file: a script for its connections. ``parts`` notes where those asked
    for begin; ``fault`` is asked what is wrong with a part that begins there."""

    def __init__(self, body=BODY, etag=b'"v1"', fault=lambda _: None, fields=b"Accept-Ranges: bytes\r\n"):
        self.body, self.etag, self.fault, self.fields = body, etag, fault, fields
        self.parts: list[int] = []
        self.gate: asyncio.Event | None = None  # what the whole answer waits for behind its first part

    async def __call__(self, wire):
        while True:
            received = await wire.request()
            asked = _RANGE.fullmatch(received.get(b"range") or b"")
            if asked is None:
                await self.whole(wire)
            else:
                assert received.get(b"if-none-match") is None
                await self.part(wire, received, int(asked[1]), int(asked[2]))

    def head(self, status, length, *more):
        lines = [b"HTTP/1.1 %b" % status, b"Content-Length: %d" % length, b"ETag: " + self.etag, *more]
        return b"\r\n".join(lines) + b"\r\n" + self.fields + b"\r\n"

    async def whole(self, wire):
        await wire.answer(self.head(b"200 OK", len(self.body)))
        first = 300_000
        await wire.answer(self.body[:first])
        if self.gate is not None:
            await self.gate.wait()
        for at in range(first, len(self.body), 65536):
            await wire.answer(self.body[at : at + 65536])

    async def part(self, wire, received, first, last):
        self.parts.append(first)
        fault = self.fault(first)
        data = self.body[first : last + 1]
        if fault == "reset":
            await wire.answer(self.head(b"206 Partial Content", len(data), self.where(first, last)) + data[:1000])
            wire.reset()
        elif fault == "503":
            await wire.answer(b"HTTP/1.1 503 No\r\nContent-Length: 0\r\n\r\n")
        elif fault == "elsewhere":
            answer = self.head(b"206 Partial Content", len(data), self.where(first + 1, last + 1))
            await wire.answer(answer + self.body[first + 1 : last + 2])
        elif received.get(b"if-range") != self.etag or fault == "changed":
            await wire.answer(self.head(b"200 OK", 5) + b"other")
        else:
            await wire.answer(self.head(b"206 Partial Content", len(data), self.where(first, last)) + data)

    def where(self, first, last):
        return b"Content-Range: bytes %d-%d/%d" % (first, last, len(self.body))


async def fetch(pool, exchange, read, **headers):
    fields = {name.replace("_", "-").encode(): value for name, value in headers.items()}
    response = await pool.fetch(exchange(headers=fields))
    return response, await read(response)


async def test_parts_come_from_all_endpoints_and_are_joined_in_order(serve, make_pool, exchange, read):
    files = [Files(), Files(), Files()]
    origins = [await serve(each) for each in files]
    pool = await make_pool(*(origin.url for origin in origins), ranges=RANGES)
    response, body = await fetch(pool, exchange, read, if_none_match=b'"v0"')
    assert body == BODY
    assert (response.status, response.get(b"content-length")) == (200, b"%d" % len(BODY))
    starts = sorted(start for each in files for start in each.parts)
    assert starts == list(range(256_000, len(BODY), 256_000))
    assert sum(bool(each.parts) for each in files) == 3
    assert sum(entry["in_flight"] for entry in pool.state()) == 0


async def test_the_first_answer_streams_while_nothing_else_comes(serve, make_pool, exchange, settle):
    gate = asyncio.Event()

    async def silent(wire):
        await wire.request()
        await gate.wait()

    first, other = await serve(Files()), await serve(silent)
    pool = await make_pool(first.url, other.url, ranges=RANGES)
    response = await pool.fetch(exchange())
    got = b""
    async with asyncio.timeout(2):
        while len(got) < 256_000:
            got += await response.body.read()
    assert BODY.startswith(got)
    response.body.close()
    await settle(lambda: sum(entry["in_flight"] for entry in pool.state()) == 0)
    gate.set()


async def test_no_more_is_asked_for_than_has_room(serve, make_pool, exchange, settle):
    files = [Files(), Files()]
    pool = await make_pool(*[(await serve(each)).url for each in files], ranges=RANGES)
    response = await pool.fetch(exchange())
    await response.body.read()
    await settle(lambda: sum(len(each.parts) for each in files) == 2)
    await settle(lambda: all(part.at == part.end for part in response.body._parts))
    held = sum(len(chunk) for part in response.body._parts for chunk in part._chunks)
    assert held == 2 * 256_000
    response.body.close()
    await settle(lambda: sum(entry["in_flight"] for entry in pool.state()) == 0)


@pytest.mark.parametrize("fault", ["reset", "503"])
async def test_a_part_that_fails_is_asked_for_elsewhere(serve, make_pool, exchange, read, metrics, fault):
    failed = []

    def once(start):
        if start == 512_000 and not failed:
            failed.append(start)
            return fault
        return None

    files = [Files(fault=once), Files(fault=once), Files(fault=once)]
    pool = await make_pool(*[(await serve(each)).url for each in files], ranges=RANGES)
    _, body = await fetch(pool, exchange, read)
    assert body == BODY
    assert failed
    assert metrics.counter("edgeproxy_origin_parts_total", "", ("pool", "result")).value("site", "whole") == 11


@pytest.mark.parametrize("fault", ["changed", "elsewhere", "reset", "503"])
@pytest.mark.parametrize("start", [256_000, 1_024_000])
async def test_what_cannot_be_had_in_parts_comes_from_the_first_answer(serve, make_pool, exchange, read, fault, start):
    """Another representation, another part than asked for, or nothing at all."""
    files = [Files(fault=lambda at: fault if at >= start else None) for _ in range(2)]
    pool = await make_pool(*[(await serve(each)).url for each in files], ranges=RANGES, outlier="off")
    _, body = await fetch(pool, exchange, read)
    assert body == BODY


async def test_two_representations_are_never_mixed(serve, make_pool, exchange, read):
    old, new = Files(), Files(body=BODY[::-1], etag=b'"v2"')
    pool = await make_pool((await serve(old)).url, (await serve(new)).url, ranges=RANGES)
    for _ in range(4):
        response, body = await fetch(pool, exchange, read)
        assert body == (BODY if response.get(b"etag") == b'"v1"' else BODY[::-1])


async def test_when_nothing_is_left_the_answer_breaks_off(serve, make_pool, exchange, read):
    gate = asyncio.Event()

    class Broken(Files):
        async def whole(self, wire):
            await wire.answer(self.head(b"200 OK", len(self.body)) + self.body[:300_000])
            await gate.wait()
            wire.reset()

    files = [Broken(fault=lambda at: gate.set() or "503" if at >= 512_000 else None) for _ in range(2)]
    pool = await make_pool(*[(await serve(each)).url for each in files], ranges=RANGES)
    response = await pool.fetch(exchange())
    with pytest.raises(EdgeError):
        await read(response)
    assert sum(entry["in_flight"] for entry in pool.state()) == 0


@pytest.mark.parametrize(
    "files",
    [
        Files(etag=b'W/"v1"'),
        Files(fields=b""),
        Files(fields=b"Accept-Ranges: none\r\n"),
        Files(body=BODY[:900_000]),
    ],
)
async def test_what_does_not_qualify_is_served_as_ever(serve, make_pool, exchange, read, files):
    pool = await make_pool((await serve(files)).url, ranges=RANGES)
    _, body = await fetch(pool, exchange, read)
    assert body == files.body
    assert files.parts == []


async def test_the_first_answers_origin_sees_that_somebody_is_there(serve, make_pool, exchange, monkeypatch):
    monkeypatch.setattr(joined, "NUDGE", 0.0)
    files = [Files(fault=lambda at: "503" if at >= 2_048_000 else None) for _ in range(2)]
    pool = await make_pool(*[(await serve(each)).url for each in files], ranges=RANGES, outlier="off")
    response = await pool.fetch(exchange())
    body, held = b"", 0
    while data := await response.body.read():
        body += data
        held = max(held, len(response.body._held))
    assert body == BODY
    assert held < 3 * HIGH_WATER  # what is read ahead of its time is kept, and not much


async def test_what_becomes_of_parts_is_counted(serve, make_pool, exchange, read, metrics):
    pool = await make_pool((await serve(Files())).url, ranges=RANGES)
    await fetch(pool, exchange, read)
    assert metrics.counter("edgeproxy_origin_parts_total", "", ("pool", "result")).value("site", "whole") == 11
