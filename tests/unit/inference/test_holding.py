"""Bodies held while they are looked at."""

from __future__ import annotations

import asyncio

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body, Pipe
from edgeproxy.inference.holding import BUSY, LATE, TOO_LONG, Held, Holding


def pipe(*chunks: bytes, length: int | None = None, ended: bool = True) -> Pipe:
    made = Pipe(length)
    for chunk in chunks:
        made.feed(chunk)
    if ended:
        made.finish({b"x-sum": b"1"})
    return made


async def rest(body: Body) -> bytes:
    whole = b""
    while chunk := await body.read():
        whole += chunk
    return whole


async def test_a_body_that_is_held_goes_on_whole() -> None:
    holding = Holding(1000)
    source = pipe(b"one", b"two", length=6)
    held, why = await holding.hold(source, 100)
    assert (why, held.whole, held.content(), held.length) == ("", True, b"onetwo", 6)
    assert held.arriving is source
    assert held.trailers == {b"x-sum": b"1"}
    assert held.take() == b"onetwo"
    assert await held.read() == b""


async def test_a_body_that_is_held_may_be_read_piece_by_piece() -> None:
    held, _ = await Holding(1000).hold(pipe(b"one"), 100)
    assert await rest(held) == b"one"


async def test_a_body_announced_as_too_long_is_not_touched() -> None:
    source = pipe(b"x" * 10, length=101, ended=False)
    held, why = await Holding(1000).hold(source, 100)
    assert (why, held.size, held.take()) == (TOO_LONG, 0, None)
    source.feed(b"y" * 91)
    source.finish()
    assert await rest(held) == b"x" * 10 + b"y" * 91


async def test_a_body_that_proves_too_long_goes_on_as_it_comes() -> None:
    source = pipe(b"x" * 101, ended=False)
    held, why = await Holding(1000).hold(source, 100)
    assert (why, held.whole, held.take()) == (TOO_LONG, False, None)
    source.feed(b"end")
    source.finish()
    assert await rest(held) == b"x" * 101 + b"end"


async def test_memory_for_all_of_them_is_bounded_and_comes_back() -> None:
    holding = Holding(100)
    first, why = await holding.hold(pipe(b"x" * 100), 100)
    assert why == ""
    second, why = await holding.hold(pipe(b"y" * 10), 100)
    assert (why, second.size) == (BUSY, 0)
    assert await rest(second) == b"y" * 10
    holding.release(first)
    holding.release(first)
    third, why = await holding.hold(pipe(b"z" * 90), 100)
    assert why == ""
    fourth, why = await holding.hold(pipe(b"z" * 11), 100)
    assert why == BUSY
    assert await rest(fourth) == b"z" * 11
    for held in (third, fourth):
        holding.release(held)
    assert repr(holding) == "<Holding 100 B left>"


async def test_what_does_not_come_in_time_goes_on_as_it_comes() -> None:
    source = pipe(b"slow", ended=False)
    held, why = await Holding(100).hold(source, 50, seconds=0.02)
    assert why == LATE
    source.finish()
    assert await rest(held) == b"slow"


async def test_a_body_that_breaks_off_breaks_off_and_holds_nothing() -> None:
    holding = Holding(100)
    source = pipe(b"part", ended=False)
    source.fail(EdgeError(Kind.CLIENT_GONE, "client"))
    with pytest.raises(EdgeError):
        await holding.hold(source, 50)
    assert repr(holding) == "<Holding 100 B left>"


async def test_an_answer_that_breaks_off_does_so_for_who_reads_on() -> None:
    source = pipe(b"part", ended=False)
    source.fail(EdgeError(Kind.RESPONSE_INCOMPLETE, "origin"))
    held, why = await Holding(100).hold(source, 50, seconds=1)
    assert why == LATE
    assert await held.read() == b"part"
    with pytest.raises(EdgeError):
        await held.read()


async def test_who_leaves_meanwhile_leaves_nothing_held() -> None:
    holding = Holding(100)
    task = asyncio.create_task(holding.hold(pipe(b"part", ended=False), 50))
    await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert repr(holding) == "<Holding 100 B left>"


async def test_closed_it_lets_its_source_know() -> None:
    source = pipe(b"x", ended=False)
    Held(source).close()
    assert source.closed
