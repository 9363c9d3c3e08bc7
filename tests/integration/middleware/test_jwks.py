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
from edgeproxy.pipeline.middleware import Verdict
from middleware.jwt import Jwt
from tests.support.stages import exchange, services, stage
from tests.support.tokens import claims, jwk, pem, private_key, token


async def settled(verdict: Verdict | Awaitable[Verdict]) -> Verdict:
    return verdict if verdict is None or isinstance(verdict, Response) else await verdict


class Issuer:
    """An issuer that counts how often it is asked, and whose answer can be changed."""

    def __init__(self) -> None:
        self.asked = 0
        self.keys = [jwk("EdDSA", "one")]
        self.respond: Callable[[], web.StreamResponse] = lambda: web.json_response({"keys": self.keys})
        self.round_trips: Callable[[], Awaitable[None]]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked += 1
        return self.respond()

    async def elsewhere(self, request: web.Request) -> web.StreamResponse:
        return web.json_response({"keys": [jwk("EdDSA", "two")]})

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/jwks.json", self.handle)
        app.router.add_get("/elsewhere", self.elsewhere)
        return app


class Edge:
    """The stage under test, its clock, and waiting for what its background work has done."""

    def __init__(self, settings: dict[str, Any], session: aiohttp.ClientSession) -> None:
        self.clock = ManualClock()
        lent = services(self.clock, lambda: session)
        counter = lent.metrics.counter
        self.outcomes = counter("edgeproxy_key_refresh_total", "Attempts to refresh key sets.", ("outcome",)).value
        self.refused = counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        self.demand = stage(Jwt, settings, lent)

    async def status(self, name: str = "one", algorithm: str = "EdDSA") -> int:
        """What a token signed by the key of that name is answered; 200 if it is let in."""
        signed = token(algorithm=algorithm, key=private_key(algorithm, name), header={"kid": name})
        answer = await settled(self.demand.request(exchange(headers={b"authorization": b"Bearer " + signed})))
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
    settings = {"jwks_url": str(server.make_url("/jwks.json")), "refresh_min": "30s", "wait": "500ms"}
    edge = Edge(settings, session)
    yield edge
    await edge.demand.stop()


async def test_keys_are_there_when_start_returns(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    assert await edge.status() == 200
    assert issuer.asked == 1


async def test_a_new_keys_first_token_waits_for_the_new_set_and_is_let_in(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    issuer.keys.append(jwk("EdDSA", "two"))
    edge.clock.advance(30)
    assert await edge.status("two") == 200
    assert (await edge.status("one"), issuer.asked) == (200, 2)


async def test_many_tokens_of_a_new_key_wait_for_one_fetch(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    issuer.keys.append(jwk("EdDSA", "two"))
    edge.clock.advance(30)
    assert await asyncio.gather(*(edge.status("two") for _ in range(50))) == [200] * 50
    assert issuer.asked == 2


async def test_what_comes_too_soon_after_a_fetch_waits_until_the_next_is_allowed(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    issuer.keys.append(jwk("EdDSA", "two"))
    edge.clock.advance(29.95)
    assert await edge.status("two") == 200
    assert issuer.asked == 2


async def test_a_remembered_token_needs_no_task_and_no_wait(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    assert await edge.status() == 200
    bearing = {b"authorization": b"Bearer " + token(algorithm="EdDSA", key=private_key("EdDSA", "one"))}
    await settled(edge.demand.request(exchange(headers=bearing)))
    assert edge.demand.request(exchange(headers=bearing)) is None


async def test_a_key_that_is_withdrawn_stops_working_for_remembered_tokens_too(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    assert await edge.status("one") == 200
    issuer.keys = [jwk("EdDSA", "two")]
    edge.clock.advance(30)
    assert await edge.status("two") == 200
    edge.clock.advance(30)
    assert await edge.status("one") == 401


async def test_unknown_keys_make_one_fetch_in_the_time_set(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    edge.clock.advance(30)
    assert set(await asyncio.gather(*(edge.status(f"unknown{number % 3}") for number in range(30)))) == {401}
    assert set(await asyncio.gather(*(edge.status(f"unknown{number % 3}") for number in range(20)))) == {503}
    await issuer.round_trips()
    assert await edge.status("one") == 200
    assert issuer.asked == 2


async def test_who_shows_unknown_keys_is_soon_answered_without_a_wait(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    edge.clock.advance(30)
    assert set(await asyncio.gather(*(edge.status("unknown") for _ in range(61)))) == {401}
    assert await edge.status("unknown") == 429
    assert await edge.status("one") == 429


async def test_only_so_many_tokens_wait_at_once(edge: Edge, issuer: Issuer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("middleware.jwt.MOST_WAITING", 3)
    await edge.demand.start()
    edge.clock.advance(30)
    statuses = await asyncio.gather(*(edge.status("unknown") for _ in range(5)))
    assert (sorted(statuses), edge.refused.value("jwt")) == ([401, 401, 401, 503, 503], 5)
    issuer.keys.append(jwk("EdDSA", "two"))
    edge.clock.advance(30)
    assert await edge.status("two") == 200, "who has waited gives up its place"


def _too_large() -> web.Response:
    return web.json_response({"keys": [jwk("EdDSA", "two")], "filler": "x" * 300_000})


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
    assert await edge.status("two") == 503, "nobody can say now whether it is good"
    assert edge.outcomes("failed") == 1
    assert await edge.status("one") == 200
    issuer.keys.append(jwk("EdDSA", "two"))
    issuer.respond = good
    edge.clock.advance(30)
    assert await edge.status("two") == 200


async def test_an_issuer_that_is_away_at_the_start_is_503_and_heals(edge: Edge, issuer: Issuer) -> None:
    good, issuer.respond = issuer.respond, BROKEN["an error"]
    await edge.demand.start()
    edge.clock.advance(1)
    assert await edge.status() == 503
    issuer.respond = good
    edge.clock.advance(1)
    assert await edge.status() == 200


async def test_keys_are_fetched_anew_by_themselves(
    issuer: Issuer, session: aiohttp.ClientSession, aiohttp_server: AiohttpServer
) -> None:
    server = await aiohttp_server(issuer.app())
    edge = Edge({"jwks_url": str(server.make_url("/jwks.json")), "refresh": "1s", "wait": "100ms"}, session)
    await edge.demand.start()
    try:
        issuer.keys = [jwk("EdDSA", "two")]
        await edge.attempts("ok", 2)
        assert (await edge.status("two"), await edge.status("one")) == (200, 503)
    finally:
        await edge.demand.stop()


async def test_each_issuers_keys_come_from_itself_and_verify_its_tokens_alone(
    issuer: Issuer, session: aiohttp.ClientSession, aiohttp_server: AiohttpServer
) -> None:
    server = await aiohttp_server(issuer.app())
    names = {"one": "/jwks.json", "two": "/elsewhere"}
    urls = {name: str(server.make_url(path)) for name, path in names.items()}
    issuers = [{"issuer": name, "jwks_url": url, "refresh_min": "30s"} for name, url in urls.items()]
    edge = Edge({"issuers": issuers, "wait": "100ms"}, session)
    await edge.demand.start()
    try:
        for said in names:
            for signed in names:
                made = token(claims(iss=said), "EdDSA", private_key("EdDSA", signed), header={"kid": signed})
                answer = await settled(edge.demand.request(exchange(headers={b"authorization": b"Bearer " + made})))
                assert (answer is None) is (said == signed)
    finally:
        await edge.demand.stop()


async def test_stopping_ends_the_background_work_and_all_waiting(edge: Edge, issuer: Issuer) -> None:
    await edge.demand.start()
    waiting = asyncio.ensure_future(edge.status("two"))
    await asyncio.sleep(0)
    async with asyncio.timeout(0.15):
        await edge.demand.stop()
        assert await waiting == 401
    edge.clock.advance(30)
    assert await edge.status("two") == 401
    assert [task for task in asyncio.all_tasks() if "FreshKeys" in repr(task)] == []
    assert issuer.asked == 1


async def test_a_keys_file_is_read_anew(tmp_path: Path, session: aiohttp.ClientSession) -> None:
    file = tmp_path / "jwks.json"
    file.write_text(json.dumps({"keys": [jwk("EdDSA", "one")]}))
    edge = Edge({"keys_file": str(file), "refresh": "1s", "wait": "100ms"}, session)
    await edge.demand.start()
    try:
        assert await edge.status("one") == 200
        file.write_bytes(b"half a ")
        await edge.attempts("failed", 1)
        assert await edge.status("one") == 200
        file.write_bytes(pem(private_key("EdDSA", "two")))
        edge.clock.advance(30)
        assert (await edge.status("two"), await edge.status("one")) == (200, 503)
    finally:
        await edge.demand.stop()
