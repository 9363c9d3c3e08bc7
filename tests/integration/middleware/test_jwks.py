"""A key set fetched from a real issuer: rotation, outages, and how often it is asked."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpServer

from edgeproxy.clock import ManualClock
from edgeproxy.http.message import Response
from middleware.jwt import Jwt
from tests.support.stages import exchange, services, stage
from tests.support.tokens import jwk, pem, private_key, token


class Issuer:
    """An issuer that counts how often it is asked, and whose answer can be changed."""

    def __init__(self) -> None:
        self.asked = 0
        self.keys = [jwk("RS256", "one")]
        self.respond: Callable[[], web.StreamResponse] = lambda: web.json_response({"keys": self.keys})
        self.round_trips: Callable[[], Awaitable[None]]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        return self.respond()

    async def elsewhere(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"keys": [jwk("RS256", "two")]})

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/jwks.json", self.handle)
        app.router.add_get("/elsewhere", self.elsewhere)
        return app


class Edge:
    """The stage under test, its clock, and waiting for what its background work has done."""

    def __init__(self, demand: Jwt, clock: ManualClock, outcomes: Callable[[str], float]) -> None:
        self.demand = demand
        self.clock = clock
        self.outcomes = outcomes

    def ask(self, name: str = "one", algorithm: str = "RS256") -> Response | None:
        """The answer to a token signed by the key of that name."""
        signed = token(algorithm=algorithm, key=private_key(algorithm, name), header={"kid": name})
        answer = self.demand.request(exchange(headers={b"authorization": b"Bearer " + signed}))
        assert answer is None or isinstance(answer, Response)
        return answer

    def status(self, name: str = "one") -> int:
        answer = self.ask(name)
        return 200 if answer is None else answer.status

    async def attempts(self, outcome: str, count: int) -> None:
        async with asyncio.timeout(5):
            while self.outcomes(outcome) < count:  # noqa: ASYNC110 -- a counter tells nobody when it moves
                await asyncio.sleep(0.001)


@pytest.fixture
async def issuer() -> Issuer:
    return Issuer()


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


@pytest.fixture
async def edge(issuer: Issuer, session: aiohttp.ClientSession, aiohttp_server: AiohttpServer) -> AsyncIterator[Edge]:
    server = await aiohttp_server(issuer.app())

    async def round_trips() -> None:
        """Time enough for a fetch that was begun before to reach the issuer."""
        for _ in range(5):
            async with session.get(server.make_url("/elsewhere")) as answer:
                await answer.read()

    issuer.round_trips = round_trips
    edge = build({"jwks_url": str(server.make_url("/jwks.json"))}, session)
    yield edge
    await edge.demand.stop()


def build(settings: dict[str, Any], session: aiohttp.ClientSession) -> Edge:
    clock = ManualClock()
    lent = services(clock, lambda: session)
    outcomes = lent.metrics.counter("edgeproxy_key_refresh_total", "Attempts to refresh key sets.", ("outcome",))
    return Edge(stage(Jwt, settings, lent), clock, outcomes.value)


async def test_keys_are_there_when_start_returns(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    assert edge.status() == 200
    assert edge.status("forged") == 401
    assert issuer.asked == 1


async def test_a_new_key_is_fetched_when_its_first_token_comes(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    issuer.keys.append(jwk("RS256", "two"))
    edge.clock.advance(30)
    assert edge.status("two") == 401
    await edge.attempts("ok", 2)
    assert (edge.status("two"), edge.status("one")) == (200, 200)


async def test_a_key_that_is_withdrawn_stops_working_for_remembered_tokens_too(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    assert edge.status("one") == 200
    issuer.keys = [jwk("RS256", "two")]
    edge.clock.advance(30)
    assert edge.status("two") == 401
    await edge.attempts("ok", 2)
    assert (edge.status("two"), edge.status("one")) == (200, 401)


async def test_unknown_keys_make_one_fetch_in_30_seconds(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    edge.clock.advance(29)
    for number in range(50):
        assert edge.status(f"unknown{number % 3}") == 401
    await issuer.round_trips()
    assert issuer.asked == 1
    edge.clock.advance(1)
    for number in range(50):
        assert edge.status(f"unknown{number % 3}") == 401
    await edge.attempts("ok", 2)
    for number in range(50):
        assert edge.status(f"unknown{number % 3}") == 401
    await issuer.round_trips()
    assert edge.status("one") == 200
    assert issuer.asked == 2


def _too_large() -> web.Response:
    return web.json_response({"keys": [jwk("RS256", "two")], "filler": "x" * 300_000})


BROKEN = {
    "an error": lambda: web.Response(status=500),
    "a redirect": lambda: web.Response(status=302, headers={"location": "/elsewhere"}),
    "no JSON": lambda: web.Response(text="<html>maintenance</html>"),
    "no keys": lambda: web.json_response({"keys": []}),
    "an endless answer": _too_large,
}


@pytest.mark.parametrize("answer", BROKEN)
async def test_the_last_good_keys_stay_while_the_issuer_gives(edge: Edge, issuer: Issuer, answer: str) -> None:
    await edge.demand.start()
    good, issuer.respond = issuer.respond, BROKEN[answer]
    edge.clock.advance(30)
    assert edge.status("two") == 401
    await edge.attempts("failed", 1)
    assert edge.status("one") == 200
    issuer.keys.append(jwk("RS256", "two"))
    issuer.respond = good
    edge.clock.advance(30)
    assert edge.status("two") == 401
    await edge.attempts("ok", 2)
    assert edge.status("two") == 200


async def test_an_issuer_that_is_away_at_the_start_is_503_and_heals(edge: Edge, issuer: Issuer) -> None:
    good, issuer.respond = issuer.respond, BROKEN["an error"]
    await edge.demand.start()
    assert edge.status() == 503
    issuer.respond = good
    edge.clock.advance(1)
    assert edge.status() == 503
    await edge.attempts("ok", 1)
    assert edge.status() == 200


async def test_keys_are_fetched_anew_by_themselves(
    issuer: Issuer, session: aiohttp.ClientSession, aiohttp_server: AiohttpServer
) -> None:
    server = await aiohttp_server(issuer.app())
    edge = build({"jwks_url": str(server.make_url("/jwks.json")), "refresh": "1s"}, session)
    await edge.demand.start()
    try:
        issuer.keys = [jwk("RS256", "two")]
        await edge.attempts("ok", 2)
        assert (edge.status("two"), edge.status("one")) == (200, 401)
    finally:
        await edge.demand.stop()


async def test_stopping_ends_the_background_work(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    await edge.demand.stop()
    edge.clock.advance(30)
    assert edge.status("two") == 401
    assert [task for task in asyncio.all_tasks() if "FreshKeys" in repr(task)] == []
    assert issuer.asked == 1


async def test_stopping_while_a_key_is_wanted_ends_at_once(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    edge.clock.advance(30)
    await asyncio.sleep(0)
    assert edge.status("two") == 401
    async with asyncio.timeout(5):
        await edge.demand.stop()


async def test_a_keys_file_is_read_anew(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk("RS256", "one")]}))
    edge = build({"keys_file": str(file), "refresh": "1s"}, session)
    await edge.demand.start()
    try:
        assert (edge.status("one"), edge.status("two")) == (200, 401)
        file.write_bytes(b"half a ")
        await edge.attempts("failed", 1)
        assert edge.status("one") == 200
        file.write_bytes(pem(private_key("RS256", "two")))
        edge.clock.advance(30)
        edge.ask("three")
        await edge.attempts("ok", 2)
        assert (edge.status("one"), edge.status("two")) == (401, 200)
    finally:
        await edge.demand.stop()
