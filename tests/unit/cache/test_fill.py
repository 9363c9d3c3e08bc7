"""A body read by many while it arrives."""

from __future__ import annotations

import asyncio

import pytest

from edgeproxy.cache.fill import Fill
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
    assert len(await reader.read()) == HIGH_WATER + 10
    assert await room
    assert not fill.chunks


async def test_nobody_reading_ends_a_fill_given_up() -> None:
    fill = Fill(None)
    reader = fill.reader()
    fill.give_up()
    reader.close()
    assert not await fill.room()
