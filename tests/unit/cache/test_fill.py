"""A body read by many while it arrives."""

from __future__ import annotations

import asyncio

import pytest

from edgeproxy.cache.fill import Fill, Slice
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import HIGH_WATER


async def drain(reader: object) -> bytes:
    out = b""
    while chunk := await reader.read():  # type: ignore[attr-defined]
        out += chunk
    return out


async def test_all_readers_get_the_whole_body_whenever_they_join() -> None:
    fill = Fill(None)
    early = asyncio.ensure_future(drain(fill.reader()))
    await asyncio.sleep(0)
    fill.feed(b"one ")
    late = asyncio.ensure_future(drain(fill.reader()))
    await asyncio.sleep(0)
    fill.feed(b"two")
    fill.finish()
    assert await early == await late == b"one two"
    assert fill.reader().take() == b"one two"
    assert fill.whole() == b"one two"


async def test_a_slow_reader_reads_on_in_the_whole_a_piece_at_a_time() -> None:
    fill = Fill(None)
    slow = fill.reader()
    fill.feed(b"a" * 10)
    assert await slow.read() == b"a" * 10
    fill.feed(b"b" * HIGH_WATER)
    fill.feed(b"c" * HIGH_WATER)
    fill.finish()
    body = fill.whole()
    assert fill.chunks == [body]
    assert slow.take() is None
    assert await slow.read() == b"b" * HIGH_WATER
    assert slow.take() == b"c" * HIGH_WATER
    assert await slow.read() == b""


async def test_a_broken_body_is_an_error_behind_what_came() -> None:
    fill = Fill(10)
    reader = fill.reader()
    fill.feed(b"half")
    fill.fail(EdgeError(Kind.RESPONSE_INCOMPLETE, "origin"))
    assert reader.take() is None
    assert await reader.read() == b"half"
    with pytest.raises(EdgeError):
        await reader.read()


async def test_a_body_given_up_holds_only_what_is_still_to_be_read() -> None:
    fill = Fill(None)
    reader = fill.reader()
    fill.feed(b"a" * HIGH_WATER)
    fill.give_up()
    fill.feed(b"b" * 10)
    room = asyncio.ensure_future(fill.room())
    await asyncio.sleep(0)
    assert not room.done()
    assert await reader.read() == b"a" * HIGH_WATER
    assert await reader.read() == b"b" * 10
    assert await room
    assert not fill.chunks


async def test_nobody_reading_ends_a_fill_given_up() -> None:
    fill = Fill(None)
    reader = fill.reader()
    fill.give_up()
    reader.close()
    assert not await fill.room()


@pytest.mark.parametrize("part", [(0, 9), (0, 0), (3, 6), (9, 9), (5, 5)])
@pytest.mark.parametrize("pieces", [[b"0123456789"], [b"01", b"23", b"4567", b"89"]])
async def test_a_slice_is_the_bytes_between_its_ends(part: tuple[int, int], pieces: list[bytes]) -> None:
    fill = Fill(10)
    early = Slice(fill.reader(), part)
    reading = asyncio.ensure_future(drain(early))
    for piece in pieces:
        fill.feed(piece)
        await asyncio.sleep(0)
    fill.finish()
    expected = b"0123456789"[part[0] : part[1] + 1]
    assert await reading == expected
    assert early.length == len(expected)
    assert Slice(fill.reader(), part).take() == expected
    early.close()


async def test_a_slice_of_a_broken_body_breaks_off() -> None:
    fill = Fill(10)
    part = Slice(fill.reader(), (2, 8))
    fill.feed(b"01234")
    assert await part.read() == b"234"
    fill.fail(EdgeError(Kind.RESPONSE_INCOMPLETE, "origin"))
    with pytest.raises(EdgeError):
        await part.read()
