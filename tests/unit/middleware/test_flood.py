"""The flood stage: its settings, and what it does with requests from end to end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.clock import ManualClock
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.floods.watch import TICK
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Services
from edgeproxy.pipeline.runner import serve
from middleware.cache import Cache
from middleware.flood import Flood
from tests.support.stages import Client, exchange, route, services, stage

QUICK = {"warm_up": "5s", "calm": "5s"}
GOOD = "192.0.2.1"


class Node:
    """One route with the stage and a cache, in front of an origin that answers what may be kept for a second."""

    name = "origin"

    def __init__(self, **settings: Any) -> None:
        self.clock = ManualClock()
        self.lent = services(self.clock)
        self.flood = stage(Flood, {**QUICK, **settings}, self.lent)
        self.flood.watch.open(None, "")
        self.route = route([self.flood, stage(Cache, {}, self.lent)], self)
        self.asked = 0
        self.status = 200

    async def fetch(self, x: Exchange) -> Response:
        self.asked += 1
        if self.status == 0:
            raise EdgeError(Kind.CONNECT_REFUSED, "origin")
        return Response(self.status, {b"cache-control": b"max-age=1, stale-if-error=600"}, b"page")

    async def get(self, target: bytes = b"/", client: str = GOOD) -> Client:
        x = exchange(target, client=client, started=self.clock.monotonic())
        x.route = self.route
        answered = Client()
        serve(x, answered)
        return await answered.done()

    async def quiet(self, seconds: float) -> None:
        for _ in range(round(seconds / TICK)):
            self.clock.advance(TICK)
            await self.get()
            self.flood.watch.tick()

    def surge(self, seconds: float = 3.0) -> None:
        for _ in range(round(seconds / TICK)):
            self.clock.advance(TICK)
            for number in range(300):
                self.flood.request(self._bad(number))
            self.flood.watch.tick()

    def _bad(self, number: int) -> Exchange:
        x = exchange(client=f"198.51.{number % 250}.7")
        x.route = self.route
        return x


async def test_by_default_an_attack_is_noticed_and_nothing_done() -> None:
    node = Node()
    await node.quiet(30)
    node.surge()
    states = next(one for one in node.lent.metrics.dump() if one["name"] == "edgeproxy_flood_state")
    assert states["series"] == [(["node"], [2.0]), (["route:site"], [2.0])]
    assert (await node.get(client="203.0.113.9")).status == 200


async def test_unknown_clients_are_refused_if_configured_and_it_ends_by_itself() -> None:
    node = Node(attack={"unknown": "refuse"}, retry_after="7s")
    await node.quiet(30)
    node.surge()
    refused = await node.get(client="203.0.113.9")
    assert refused.status == 503
    assert refused.body == b"503 Too many ask at once; try again in 7 s.\n"
    assert refused.field(b"retry-after") == b"7"
    assert refused.field(b"cache-control") == b"no-store"
    assert node.lent.metrics.counter("edgeproxy_refused_total", "", ("stage",)).value("flood") > 0
    assert (await node.get()).status == 200
    await node.quiet(30)
    assert (await node.get(client="203.0.113.9")).status == 200


async def test_cache_only_serves_what_is_stored_stale_too_and_refuses_the_rest() -> None:
    node = Node(attack={"origin": "nobody"})
    await node.quiet(30)
    node.surge()
    asked = node.asked
    stale = await node.get()
    assert (stale.status, stale.body) == (200, b"page")
    assert b"fwd=stale; detail=overloaded" in (stale.field(b"cache-status") or b"")
    missing = await node.get(b"/other")
    assert missing.status == 503
    assert missing.field(b"retry-after") == b"10"
    assert node.asked == asked


async def test_known_clients_may_cause_a_fetch_where_others_may_not() -> None:
    node = Node(attack={"origin": "known"})
    await node.quiet(30)
    node.surge()
    assert (await node.get(b"/other", client="203.0.113.9")).status == 503
    assert (await node.get(b"/other")).status == 200


async def test_errors_and_misses_of_the_origin_are_counted_and_hits_are_not() -> None:
    node = Node()
    await node.get()
    await node.get()
    node.status = 500
    await node.get(b"/broken")
    node.status = 0
    await node.get(b"/gone")
    tally = node.flood.gate.routes["site"]
    assert (tally.requests, tally.misses, tally.errors) == (4, 3, 2)


async def test_hits_do_not_pass_the_stages_response() -> None:
    chain = Node().route.chain
    flood, cache = chain.inline
    assert len(flood[1]) == 1
    assert cache[1] == ()


async def test_observed_it_counts_what_it_would_refuse_and_refuses_nothing() -> None:
    node = Node(mode="observe", attack={"unknown": "refuse", "origin": "nobody"})
    await node.quiet(30)
    node.surge()
    assert (await node.get(b"/other", client="203.0.113.9")).status == 200
    assert node.lent.metrics.counter("edgeproxy_observed_total", "", ("stage",)).value("flood") >= 2


async def test_the_webhook_is_told(tmp_path: Path) -> None:
    posts: list[dict[str, Any]] = []

    class Session:
        status = 204

        @contextlib.asynccontextmanager
        async def post(self, url: str, **options: Any) -> AsyncIterator[Any]:
            posts.append({"url": url, **options})
            yield self

    clock = ManualClock()
    lent = services(clock)
    lent = Services(lent.clock, lent.metrics, lent.cache, lambda: Session(), "node-1", folder=tmp_path)  # type: ignore[arg-type, return-value]
    hook = {"url": "https://alerts.example/", "header": "x-token", "secret": "s3cret"}
    floods = [stage(Flood, {**QUICK, "webhook": hook, "retry_after": f"{number + 1}s"}, lent) for number in range(2)]
    for flood in floods:
        await flood.start()
    for tick in range(36):
        clock.advance(TICK)
        for flood in floods:
            for number in range(1 if tick < 30 else 500):
                flood.request(exchange(client=f"192.0.2.{number % 250}"))
            flood.watch.tick()
    await asyncio.sleep(0)
    for flood in floods:
        await flood.stop()
    node = [post["json"] for post in posts if post["json"]["scope"] == "node"]
    assert len(node) == 1, "one of two told it"
    event = node[0]
    assert {key: event[key] for key in ("event", "node", "scope", "before", "state")} == {
        "event": "flood",
        "node": "node-1",
        "scope": "node",
        "before": "normal",
        "state": "attack",
    }
    assert [figure["name"] for figure in event["figures"]] == ["requests", "new clients", "error share", "miss share"]
    assert posts[0]["headers"] == {"x-token": "s3cret"}


async def test_started_and_stopped_it_ticks_by_itself() -> None:
    flood = stage(Flood, QUICK)
    await flood.start()
    await flood.stop()
    assert flood.watch._timer is None


@pytest.mark.parametrize(
    "settings",
    [
        {"floor": "0/s"},
        {"elevated_at": 16, "attack_at": 16},
        {"elevated_at": 1},
        {"calm": "0s"},
        {"memory": "1s"},
        {"attack": {"unknown": "ban"}},
        {"attack": {"orign": "nobody"}},
        {"worst_share": "0%"},
        {"worst_usual": "60%"},
        {"webhook": {"url": "https://u:p@a.example/"}},
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(Flood, settings)
