"""Another route in the place of an exchange's own: whose stages judge it, and whose cache keeps it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from typing import Any

import pytest

from edgeproxy.config.snapshot import Route
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.handover import JOINED, HandOver, go_on
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services
from edgeproxy.pipeline.runner import serve
from middleware.cache import Cache
from tests.support.stages import Client, exchange, route, services, stage

SEEN: list[str] = []


class Noting(Middleware):
    """Notes what it is asked; answers 403 to whom it is told to."""

    class Config(MiddlewareConfig):
        label: str = ""
        denies: bool = False

    def request(self, x: Exchange) -> Response | None:
        SEEN.append(f"{self.config.label}.request")
        return Response(403, {}, b"no\n") if self.config.denies else None

    def response(self, x: Exchange, response: Response) -> None:
        SEEN.append(f"{self.config.label}.response")

    def log(self, x: Exchange) -> None:
        SEEN.append(f"{self.config.label}.log")


class First(Noting):
    name = "first"


class Limit(Noting):
    name = "limit"


class Token(Noting):
    name = "token"


class Late(Noting):
    """One that answers later."""

    name = "late"

    async def request(self, x: Exchange) -> Response | None:  # type: ignore[override]
        return super().request(x)


class Switch(Middleware):
    """Hands everything over to one route."""

    name = "switch"

    class Config(MiddlewareConfig):
        to: str = "other"

    def __init__(self, config: Config, lent: Services) -> None:
        super().__init__(config, lent)
        self.hand_over = HandOver(self, lent)

    def request(self, x: Exchange) -> Awaitable[Response] | None:
        found = self.hand_over.find(x, self.config.to)
        return None if found is None else go_on(x, found)


class Origin:
    """Says its name, or fails."""

    def __init__(self, name: str, error: Kind | None = None) -> None:
        self.name = name
        self.error = error
        self.asked = 0

    async def fetch(self, x: Exchange) -> Response:
        self.asked += 1
        if self.error is not None:
            raise EdgeError(self.error, "origin")
        return Response(200, {b"cache-control": b"max-age=60", b"x-origin": self.name.encode()}, b"ok")


class Site:
    """Two routes: everything comes to ``own``, and its switch hands it over to ``other``."""

    def __init__(self) -> None:
        SEEN.clear()
        lent = services()
        self.routes: dict[str, Route] = {}
        self.lent = replace(lent, route=lambda _: self.routes["own"], route_named=lambda name: self.routes.get(name))
        self.switch = self.made(Switch)
        self.first = self.made(First, label="first")
        self.cache = self.made(Cache)
        self.origins = Origin("own"), Origin("other")

    def made(self, kind: type[Any], **settings: Any) -> Any:
        return stage(kind, settings, self.lent)

    def lay(
        self, own: list[Middleware], other: list[Middleware], log: Callable[[Exchange], None] | None = None
    ) -> None:
        logs = [log] if log else []
        self.routes["own"] = route([self.first, self.switch, *own], self.origins[0], name="own", log=logs)
        self.routes["other"] = route(other, self.origins[1], name="other", log=logs)

    async def ask(self) -> tuple[Client, Exchange]:
        SEEN.clear()
        client, x = Client(), exchange()
        x.route = self.routes["own"]
        serve(x, client)
        return await client.done(), x


@pytest.fixture
def site() -> Site:
    return Site()


async def test_the_other_route_answers_and_is_what_the_log_names(site: Site) -> None:
    site.lay([], [site.first], log=lambda x: SEEN.append(f"logged {x.route.name} {x.status}"))
    client, _ = await site.ask()
    assert (client.status, client.field(b"x-origin")) == (200, b"other")
    assert SEEN == ["first.request", "first.response", "first.log", "logged other 200"]


async def test_guards_of_both_routes_are_passed_once_each(site: Site) -> None:
    token, limit, late = site.made(Token, label="token"), site.made(Limit, label="limit"), site.made(Late, label="late")
    site.lay([token, site.cache], [site.first, limit, late, site.cache])
    await site.ask()
    order = ["first", "token", "limit", "late"]
    assert SEEN[:4] == [f"{name}.request" for name in order]
    assert SEEN[4:8] == [f"{name}.response" for name in reversed(order)]
    assert sorted(SEEN[8:]) == sorted(f"{name}.log" for name in order)


@pytest.mark.parametrize("denying", [Token, Limit, Late])
async def test_nobody_gets_past_a_guard(site: Site, denying: type[Noting]) -> None:
    made = [site.made(kind, label=kind.name, denies=kind is denying) for kind in (Token, Limit, Late)]
    site.lay([made[0]], [site.first, *made[1:]])
    client, _ = await site.ask()
    assert client.status == 403
    assert [origin.asked for origin in site.origins] == [0, 0]


async def test_a_stage_that_both_have_is_the_others(site: Site) -> None:
    own, other = site.made(Limit, label="own", denies=True), site.made(Limit, label="other")
    site.lay([own], [site.first, other])
    client, _ = await site.ask()
    assert client.status == 200
    assert "own.request" not in SEEN
    assert "other.request" in SEEN
    assert {"own.log", "other.log"} <= {*SEEN}


async def test_what_is_kept_is_kept_apart(site: Site) -> None:
    site.lay([site.cache], [site.first, site.cache])
    for verdict in (b"edgeproxy; fwd=uri-miss", b"edgeproxy; hit"):
        client, _ = await site.ask()
        assert client.field(b"x-origin") == b"other"
        assert (client.field(b"cache-status") or b"").startswith(verdict)
    assert site.origins[1].asked == 1
    del site.routes["other"]
    client, _ = await site.ask()
    assert client.field(b"x-origin") == b"own"


async def test_an_error_is_answered_as_any_other(site: Site) -> None:
    site.origins[1].error = Kind.CONNECT_REFUSED
    site.lay([], [site.first])
    client, x = await site.ask()
    assert (client.status, x.error) == (502, Kind.CONNECT_REFUSED.value)
    assert SEEN.count("first.response") == 1


async def test_there_are_no_circles(site: Site) -> None:
    back = site.made(Switch, to="own")
    site.lay([], [site.first, back])
    client, _ = await site.ask()
    assert client.field(b"x-origin") == b"other"
    assert [origin.asked for origin in site.origins] == [0, 1]


async def test_a_route_that_is_gone_or_its_own_changes_nothing(site: Site) -> None:
    for name in ("gone", "own"):
        site.switch = site.made(Switch, to=name)
        site.lay([], [site.first])
        client, _ = await site.ask()
        assert client.field(b"x-origin") == b"own"


async def test_what_was_joined_is_remembered_within_a_bound(site: Site) -> None:
    site.lay([], [site.first])
    x = exchange()
    x.route = site.routes["own"]
    hand_over = site.switch.hand_over
    assert hand_over.find(x, "other") is hand_over.find(x, "other")
    for _ in range(JOINED + 1):
        site.lay([], [site.first])
        x.route = site.routes["own"]
        assert hand_over.find(x, "other") is not None
    assert len(hand_over._known) <= JOINED


async def test_a_response_hook_that_fails_is_left_out(site: Site, caplog: pytest.LogCaptureFixture) -> None:
    class Broken(Noting):
        name = "broken"

        def response(self, x: Exchange, response: Response) -> None:
            raise RuntimeError("broken")

    site.lay([], [site.first, site.made(Broken)])
    client, _ = await site.ask()
    assert client.status == 200
    assert "internal error: RuntimeError: broken" in caplog.text
