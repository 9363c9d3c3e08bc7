"""Asking a real service whether an exchange may pass: what it is asked, what becomes of its answer, and without it."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from pytest_aiohttp.plugin import AiohttpServer

from edgeproxy.clock import ManualClock
from edgeproxy.http.message import Response
from edgeproxy.identity.forward import BODY_MOST
from edgeproxy.pipeline.exchange import Exchange
from middleware.forward_auth import ForwardAuth
from tests.support.stages import exchange, services, stage
from tests.support.waiting import eventually


class Service:
    """Answers as :attr:`respond` says and keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[web.Request] = []
        self.bodies: list[bytes] = []
        self.respond: Callable[[web.Request], Awaitable[web.StreamResponse]] = self.yes
        self.url = ""

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.asked.append(request)
        self.bodies.append(await request.read())
        return await self.respond(request)

    async def yes(self, request: web.Request) -> web.StreamResponse:
        return web.Response(headers={"X-User": "alice", "X-Groups": "staff", "X-Other": "o", "Set-Cookie": "own=1"})

    def says(self, status: int, **given: Any) -> None:
        async def respond(request: web.Request) -> web.StreamResponse:
            return web.Response(status=status, **given)

        self.respond = respond


@pytest.fixture
async def session() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.CookieJar(unsafe=True)) as session:
        yield session


@pytest.fixture
async def service(aiohttp_server: AiohttpServer) -> Service:
    service = Service()
    app = web.Application()
    app.router.add_route("*", "/verify", service.handle)
    service.url = str((await aiohttp_server(app)).make_url("/verify"))
    return service


class Door:
    """The stage, its clock, and the exchanges that come to it."""

    def __init__(self, url: str, session: aiohttp.ClientSession, **settings: Any) -> None:
        self.clock = ManualClock()
        self.lent = services(self.clock, lambda: session)
        self.stage = stage(ForwardAuth, {"url": url, **settings}, self.lent)

    def exchange(self, target: bytes = b"/a?b=1", cookie: bytes = b"s=1", **given: Any) -> Exchange:
        headers = {b"cookie": cookie, b"accept": b"*/*", b"content-length": b"3"} if cookie else {}
        return exchange(target, headers, started=self.clock.monotonic(), **given)

    async def ask(self, x: Exchange) -> Response | None:
        verdict = self.stage.request(x)
        return verdict if verdict is None or isinstance(verdict, Response) else await verdict

    async def status(self, x: Exchange | None = None) -> int:
        answer = await self.ask(x or self.exchange())
        return 200 if answer is None else answer.status

    def outcomes(self, outcome: str) -> float:
        return self.lent.metrics.counter("edgeproxy_forward_auth_total", "", ("outcome",)).value(outcome)


@pytest.fixture
async def door(service: Service, session: aiohttp.ClientSession) -> AsyncIterator[Callable[..., Door]]:
    doors: list[Door] = []

    def build(**settings: Any) -> Door:
        doors.append(Door(settings.pop("url", service.url), session, **settings))
        return doors[-1]

    yield build
    for one in doors:
        await one.stage.stop()


async def test_the_service_is_told_what_is_asked_and_no_more(door: Callable[..., Door], service: Service) -> None:
    x = door().exchange(method=b"POST", scheme=b"https", authority=b"shop.example:8443")
    x.request.headers |= {b"authorization": b"Bearer t", b"x-forwarded-host": b"evil", b"x-secret": b"s"}
    assert await door().ask(x) is None
    (asked,) = service.asked
    assert (asked.method, service.bodies) == ("GET", [b""])
    assert {name.lower(): value for name, value in asked.headers.items() if name.lower() != "host"} == {
        "x-forwarded-method": "POST",
        "x-forwarded-proto": "https",
        "x-forwarded-host": "shop.example:8443",
        "x-forwarded-uri": "/a?b=1",
        "x-forwarded-for": "192.0.2.7",
        "authorization": "Bearer t",
        "cookie": "s=1",
    }


async def test_what_it_says_goes_to_the_origin_in_place_of_what_the_client_says(
    door: Callable[..., Door], service: Service
) -> None:
    guard = door(copy=["X-User", "x-groups", "x-none"])
    x = guard.exchange()
    x.request.headers |= {b"x-user": b"root", b"x_user": b"root", b"x-none": b"root"}
    assert await guard.ask(x) is None
    kept = {b"cookie": b"s=1", b"accept": b"*/*", b"content-length": b"3"}
    assert x.request.headers == kept | {b"x-user": b"alice", b"x-groups": b"staff"}
    assert x.identity == "alice"
    service.says(403)
    x = guard.exchange()
    x.request.headers[b"x-user"] = b"root"
    assert await guard.status(x) == 403
    assert x.request.headers == kept


@pytest.mark.parametrize("status", [301, 302, 303, 307, 400, 401, 403, 404, 429, 451])
async def test_a_refusal_is_the_answer_with_the_fields_it_may_bear(
    door: Callable[..., Door], service: Service, status: int
) -> None:
    headers = [("Location", "https://login.example/?to=a"), ("Set-Cookie", "a=1"), ("Set-Cookie", "b=2")]
    headers += [("X-Inner", "secret"), ("Cache-Control", "max-age=60"), ("Content-Language", "en")]

    async def respond(request: web.Request) -> web.StreamResponse:
        answer = web.Response(status=status, body=b"<p>no", content_type="text/html")
        for name, value in headers:
            answer.headers.add(name, value)
        return answer

    service.respond = respond
    answer = await door().ask(door().exchange())
    assert answer is not None
    assert (answer.status, answer.body) == (status, b"<p>no")
    assert answer.headers() == {
        b"content-type": b"text/html",
        b"content-language": b"en",
        b"cache-control": b"no-store",
        b"location": b"https://login.example/?to=a",
        b"set-cookie": b"a=1\nb=2",
    }


async def test_a_refusal_without_a_body_or_with_a_huge_one_says_a_sentence(
    door: Callable[..., Door], service: Service
) -> None:
    for body in (b"", b"x" * (BODY_MOST + 1)):
        service.says(403, body=body, content_type="text/html")
        answer = await door().ask(door().exchange())
        assert answer is not None
        assert (answer.body, answer.get(b"content-type")) == (b"403 Not allowed.\n", b"text/plain; charset=utf-8")
    service.says(403, body=b"x" * BODY_MOST)
    answer = await door().ask(door().exchange())
    assert answer is not None
    assert answer.body == b"x" * BODY_MOST


async def test_no_refusal_is_kept_whatever_the_service_says(door: Callable[..., Door], service: Service) -> None:
    service.says(403, headers={"cache-control": "public, max-age=60"})
    answer = await door(answer="cache-control").ask(door().exchange())
    assert answer is not None
    assert answer.get(b"cache-control") == b"no-store"


async def test_a_packed_body_is_passed_on_packed(door: Callable[..., Door], service: Service) -> None:
    service.says(403, body=b"\x1f\x8bpacked", headers={"content-encoding": "gzip"})
    answer = await door().ask(door().exchange())
    assert answer is not None
    assert (answer.body, answer.get(b"content-encoding")) == (b"\x1f\x8bpacked", b"gzip")


@pytest.mark.parametrize(("on_error", "status"), [("refuse", 503), ("allow", 200)])
@pytest.mark.parametrize("trouble", ["away", "slow", "500", "304", "drips"])
async def test_without_the_service_it_is_as_configured_and_said_once(
    door: Callable[..., Door],
    service: Service,
    caplog: pytest.LogCaptureFixture,
    unused_tcp_port: int,
    trouble: str,
    on_error: str,
    status: int,
) -> None:
    async def slow(request: web.Request) -> web.StreamResponse:
        await asyncio.sleep(5)
        return web.Response()

    async def drips(request: web.Request) -> web.StreamResponse:
        answer = web.StreamResponse(status=403)
        await answer.prepare(request)
        for _ in range(50):
            await answer.write(b"x")
            await asyncio.sleep(0.1)
        return answer

    url = f"http://127.0.0.1:{unused_tcp_port}/verify" if trouble == "away" else service.url
    service.respond = {"slow": slow, "drips": drips}.get(trouble, service.yes)
    if trouble.isdigit():
        service.says(int(trouble))
    guard = door(url=url, on_error=on_error, timeout="100ms", copy=["x-user"])
    with caplog.at_level(logging.INFO):
        for _ in range(2):
            x = guard.exchange()
            x.request.headers[b"x-user"] = b"root"
            assert await guard.status(x) == status
            assert (x.identity, b"x-user" in x.request.headers) == ("", False)
        assert [record.levelname for record in caplog.records if record.name == "edgeproxy"] == ["WARNING"]
        assert guard.outcomes("away") == 2
        if trouble != "away":
            service.respond = service.yes
            assert await guard.status() == 200
            assert "answers again" in caplog.text
    assert "s=1" not in caplog.text


async def test_by_default_it_is_asked_every_time(door: Callable[..., Door], service: Service) -> None:
    guard = door()
    for _ in range(3):
        assert await guard.status() == 200
    assert (len(service.asked), guard.outcomes("allowed")) == (3, 3)


async def test_a_remembered_yes_is_known_at_once_for_the_same_request(
    door: Callable[..., Door], service: Service
) -> None:
    guard = door(remember="10s", copy="x-user")
    assert await guard.status() == 200
    x = guard.exchange()
    assert guard.stage.request(x) is None
    assert (x.identity, x.request.headers[b"x-user"]) == ("alice", b"alice")
    others = [
        guard.exchange(b"/a?b=2"),
        guard.exchange(cookie=b"s=2"),
        guard.exchange(cookie=b""),
        guard.exchange(method=b"POST"),
        guard.exchange(scheme=b"https"),
        guard.exchange(authority=b"other.example"),
        guard.exchange(client="192.0.2.8"),
    ]
    for other in others:
        assert guard.stage.request(other) is not None
    guard.clock.advance(10)
    assert guard.stage.request(guard.exchange()) is not None
    assert len(service.asked) == 1


async def test_by_who_a_yes_holds_for_all_that_the_same_credentials_ask_for(
    door: Callable[..., Door], service: Service
) -> None:
    guard = door(remember="10s", remember_by="who")
    assert await guard.status() == 200
    assert guard.stage.request(guard.exchange(b"/other", method=b"POST")) is None
    assert guard.stage.request(guard.exchange(cookie=b"s=2")) is not None
    for _ in range(2):
        assert await guard.status(guard.exchange(cookie=b"")) == 200
    assert len(service.asked) == 3, "nobody in particular is asked about each time"


async def test_fields_cannot_be_shifted_into_each_other(door: Callable[..., Door]) -> None:
    guard = door(remember="10s", remember_by="who", send=["a", "b"])
    assert await guard.status(exchange(headers={b"a": b"12", b"b": b"3"})) == 200
    assert guard.stage.request(exchange(headers={b"a": b"1", b"b": b"23"})) is not None
    assert guard.stage.request(exchange(headers={b"a": b"123"})) is not None


async def test_a_no_is_not_remembered(door: Callable[..., Door], service: Service) -> None:
    guard = door(remember="10s")
    service.says(403)
    assert await guard.status() == 403
    service.respond = service.yes
    assert await guard.status() == 200


async def test_one_clients_cookie_is_never_sent_for_the_next(door: Callable[..., Door], service: Service) -> None:
    guard = door()
    for _ in range(2):
        assert await guard.status(guard.exchange(cookie=b"")) == 200
    assert [request.headers.get("cookie") for request in service.asked] == [None, None]


async def test_no_redirect_is_followed(door: Callable[..., Door], service: Service) -> None:
    service.says(302, headers={"location": service.url})
    assert await door().status() == 302
    assert len(service.asked) == 1


async def test_questions_have_a_bound_and_the_rest_is_told_to_come_back(
    door: Callable[..., Door], service: Service
) -> None:
    release = asyncio.Event()

    async def respond(request: web.Request) -> web.StreamResponse:
        await release.wait()
        return web.Response()

    service.respond = respond
    guard = door(concurrency=2, on_error="allow")
    asking = [asyncio.create_task(guard.status()) for _ in range(3)]
    await eventually(lambda: len(service.asked) == 2)
    assert await guard.status() == 503
    release.set()
    assert sorted(await asyncio.gather(*asking)) == [200, 200, 503]
    assert await guard.status() == 200


async def test_who_leaves_frees_the_place(door: Callable[..., Door], service: Service) -> None:
    async def respond(request: web.Request) -> web.StreamResponse:
        await asyncio.Event().wait()
        return web.Response()

    service.respond = respond
    guard = door(concurrency=1)
    asking = asyncio.create_task(guard.status())
    await eventually(lambda: len(service.asked) == 1)
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    service.respond = service.yes
    assert await guard.status() == 200


@pytest.mark.parametrize("headers", [{b"cookie": b"\xff"}, {b"authorization": b"Bearer \xe9"}, {b"cookie": b"\x01"}])
async def test_a_credential_that_cannot_be_passed_on_is_refused(
    door: Callable[..., Door], service: Service, headers: dict[bytes, bytes]
) -> None:
    assert await door(on_error="allow").status(exchange(headers=headers)) == 400
    assert service.asked == []
