"""The pipe between a connection that reads and one that writes."""

from __future__ import annotations

import asyncio

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import HIGH_WATER, Continued, Pipe


async def test_a_whole_body_is_taken_without_waiting() -> None:
    pipe = Pipe()
    pipe.feed(b"a")
    assert pipe.take() is None
    pipe.feed(b"b")
    pipe.finish({b"x": b"1"})
    assert pipe.take() == b"ab"
    assert pipe.take() == b""
    assert pipe.trailers == {b"x": b"1"}


async def test_reading_waits_for_the_producer() -> None:
    pipe = Pipe()
    reading = asyncio.ensure_future(pipe.read())
    await asyncio.sleep(0)
    assert not reading.done()
    pipe.feed(b"x")
    assert await reading == b"x"
    pipe.finish()
    assert await pipe.read() == b""


async def test_a_full_pipe_holds_its_producer_back() -> None:
    calls: list[str] = []
    pipe = Pipe(pause=lambda: calls.append("pause"), resume=lambda: calls.append("resume"))
    pipe.feed(b"x" * HIGH_WATER)
    assert calls == []
    pipe.feed(b"y")
    pipe.feed(b"z")
    assert calls == ["pause"]
    await pipe.read()
    assert calls == ["pause", "resume"]


async def test_what_came_before_an_error_is_still_read() -> None:
    pipe = Pipe()
    pipe.feed(b"x")
    pipe.fail(EdgeError(Kind.RESPONSE_INCOMPLETE, "origin"))
    assert pipe.take() is None
    assert await pipe.read() == b"x"
    with pytest.raises(EdgeError):
        await pipe.read()


async def test_a_reader_that_leaves_tells_the_producer_once() -> None:
    calls: list[str] = []
    pipe = Pipe(on_close=lambda: calls.append("closed"))
    pipe.close()
    pipe.close()
    pipe.feed(b"x")
    assert calls == ["closed"]
    assert await pipe.read() == b""


async def test_closing_at_the_end_is_harmless() -> None:
    calls: list[str] = []
    pipe = Pipe(on_close=lambda: calls.append("closed"))
    pipe.finish()
    pipe.close()
    assert calls == []


async def test_a_body_goes_on_behind_its_beginning() -> None:
    rest = Pipe(3)
    body = Continued(b"0123", rest)
    rest.feed(b"456")
    rest.finish()
    assert (body.length, body.take()) == (7, None)
    assert [await body.read(), await body.read(), await body.read()] == [b"0123", b"456", b""]
    assert Continued(b"0", Pipe()).length is None
