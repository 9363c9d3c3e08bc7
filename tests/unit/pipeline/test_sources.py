"""Another resource as a source: asked for as nobody, past the guards, through its own shaping stages and cache."""

from __future__ import annotations

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware
from edgeproxy.pipeline.sources import obtain, source_fields
from middleware.cache import Cache
from middleware.headers import Headers
from middleware.split import Split
from tests.support.caching import Edge
from tests.support.stages import exchange, route, services, stage


class Guard(Middleware):
    name = "guard"

    def request(self, x: Exchange) -> Response:
        return Response(401)


def edge_behind_a_guard() -> Edge:
    edge, lent = Edge(), services()
    edits = {"request": {"set": {"x-key": "secret"}}}
    edge.route = route([stage(Guard, {}, lent), stage(Headers, edits, lent), stage(Cache, {}, lent)], edge)
    return edge


def wanting() -> Exchange:
    fields = {b"host": b"a.test", b"cookie": b"a=1", b"authorization": b"Basic eDp5", b"accept": b"image/avif"}
    x = exchange(b"/wanted", fields, authority=b"a.test", started=0.0)
    x.facet, x.settled, x.identity, x.claims = b"w=1", frozenset((b"accept",)), "ann", {"sub": "ann"}
    return x


async def brought(edge: Edge, x: Exchange) -> Response:
    request = exchange(b"/source", source_fields(x.request), authority=b"a.test").request
    return await obtain(x, request, edge.route)


async def test_it_is_asked_for_as_nobody_and_shaped_as_its_route_says() -> None:
    edge, x = edge_behind_a_guard(), wanting()
    response = await brought(edge, x)
    assert (response.status, response.body) == (200, b"body")
    asked = edge.asked[0]
    assert asked.target == b"/source"
    assert asked.headers[b"x-key"] == b"secret"
    assert asked.headers[b"accept"] == b"*/*"
    assert not {b"cookie", b"authorization"} & asked.headers.keys()
    assert (x.facet, x.identity, x.request.target) == (b"w=1", "ann", b"/wanted")


async def test_it_is_kept_under_its_own_key_and_next_time_it_is_there() -> None:
    edge = edge_behind_a_guard()
    await brought(edge, wanting())
    again = await brought(edge, wanting())
    assert again.body == b"body"
    assert again.get(b"cache-status") == b"edgeproxy; hit"
    assert len(edge.asked) == 1


async def test_a_shaping_stage_may_answer_itself_and_a_route_may_do_without_a_cache() -> None:
    edge = Edge()
    edge.route = route([], edge)
    assert (await brought(edge, wanting())).body == b"body"
    assert (await brought(edge, wanting())).body == b"body"
    assert len(edge.asked) == 2


async def test_it_comes_from_the_arms_of_whoever_wants_it() -> None:
    edge, lent = Edge(), services()
    arms = {"old": {}, "new": {"when": {"client": "203.0.113.0/24"}, "request": {"x-arm": "new"}}}
    split = stage(Split, {"splits": {"test": {"arms": arms}}}, lent)
    edge.route = route([split, stage(Cache, {}, lent)], edge)
    for client in ("203.0.113.5", "192.0.2.7"):
        x = wanting()
        x.client, x.route = client, edge.route
        split.request(x)
        await brought(edge, x.fork(x.request))  # as the cache's own question to the origin wants it
    assert [asked.headers.get(b"x-arm") for asked in edge.asked] == [b"new", None], "each arm has its own copy"
