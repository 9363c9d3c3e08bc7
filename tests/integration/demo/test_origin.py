"""The demo's origin alone: what it says about keeping its answers, and its bounds."""

from __future__ import annotations

from contextlib import AsyncExitStack

import aiohttp
import pytest
from aiohttp import WSMsgType

from tests.support.fetching import fetch, wire_session


@pytest.mark.parametrize(
    ("path", "kept"),
    [
        ("/", "public, max-age=0, s-maxage=300, must-revalidate"),
        ("/members/", "private, no-store"),
        ("/robots.txt", "public, max-age=86400"),
        ("/api/time", "no-store"),
        ("/api/stations", "public, max-age=10, s-maxage=60"),
        ("/api/stations/skarholm", "public, max-age=10, s-maxage=60"),
        ("/healthz", "no-store"),
    ],
)
async def test_every_answer_says_how_long_it_may_be_kept(origin: str, path: str, kept: str) -> None:
    async with wire_session() as session:
        answer = await fetch(session, origin + path)
    assert (answer.status, answer.fields["cache-control"]) == (200, kept)


async def test_an_unknown_station_is_a_404_in_json_that_is_not_kept(origin: str) -> None:
    async with wire_session() as session:
        answer = await fetch(session, f"{origin}/api/stations/atlantis")
    assert (answer.status, answer.fields["cache-control"]) == (404, "private, no-store")
    assert answer.body == b'{"error": "no such station"}'


async def test_validators_save_the_body(origin: str) -> None:
    async with wire_session() as session:
        first = await fetch(session, f"{origin}/")
        same = await fetch(session, f"{origin}/", if_none_match=first.fields["etag"])
        since = await fetch(session, f"{origin}/", if_modified_since=first.fields["last-modified"])
        # The entity tag decides where both are given (RFC 9110 §13.2.2).
        other = await fetch(
            session, f"{origin}/", if_none_match='"other"', if_modified_since=first.fields["last-modified"]
        )
    assert (same.status, since.status, other.status) == (304, 304, 200)
    assert same.fields["etag"] == first.fields["etag"]
    assert other.body == first.body


async def test_echo_address_asks_for_an_upgrade(origin: str) -> None:
    async with wire_session() as session:
        answer = await fetch(session, f"{origin}/ws/echo")
    assert (answer.status, answer.fields["upgrade"]) == (426, "websocket")


async def test_echo_ends_a_connection_that_sends_too_much(origin: str) -> None:
    async with aiohttp.ClientSession() as session, session.ws_connect(f"{origin}/ws/echo") as socket:
        await socket.send_bytes(b"x" * 70_000)
        message = await socket.receive(timeout=5)
        assert (message.type, message.data) == (WSMsgType.CLOSE, aiohttp.WSCloseCode.MESSAGE_TOO_BIG)


async def test_echo_has_a_limit_of_connections_and_recovers(origin: str) -> None:
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session:
        async with AsyncExitStack() as open_sockets:
            for _ in range(200):
                await open_sockets.enter_async_context(session.ws_connect(f"{origin}/ws/echo"))
            with pytest.raises(aiohttp.WSServerHandshakeError) as refused:
                await session.ws_connect(f"{origin}/ws/echo")
            assert refused.value.status == 503
        async with session.ws_connect(f"{origin}/ws/echo") as socket:
            await socket.send_str("again")
            assert await socket.receive_str(timeout=5) == "again"
