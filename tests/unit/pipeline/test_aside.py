"""A sub-exchange that nobody waits for: guarded like any other, brought in whole, not logged."""

from __future__ import annotations

from typing import Any

import pytest

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Response
from edgeproxy.pipeline.aside import bring, is_missing
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.later import Later
from edgeproxy.pipeline.middleware import Middleware
from middleware.cache import Cache
from tests.support.caching import Edge
from tests.support.stages import exchange, route, services, stage


def asked(edge: Edge, target: bytes = b"/") -> Exchange:
    x = exchange(target, authority=b"a.test", started=0.0)
    x.route = edge.route
    return x


async def test_what_is_missing_is_brought_and_then_it_is_there() -> None:
    edge = Edge()
    x = asked(edge)
    assert await is_missing(x)
    assert await bring(x)
    assert not await is_missing(asked(edge))
    assert (await edge.get(b"/")).field(b"cache-status") == b"edgeproxy; hit"
    assert len(edge.asked) == 1


async def test_what_is_not_for_the_cache_is_not_brought() -> None:
    edge = Edge()
    edge.answers(cache_control=b"no-store")
    x = asked(edge)
    assert await is_missing(x)
    assert not await bring(x)
    assert not await is_missing(asked(edge))  # it is known to be of no use


async def test_a_failure_is_told() -> None:
    edge = Edge()

    async def refuse(_: Any) -> Response:
        raise EdgeError(Kind.CONNECT_REFUSED, "origin")

    edge.answer = refuse
    x = asked(edge)
    assert await is_missing(x)
    with pytest.raises(EdgeError):
        await bring(x)


@pytest.mark.parametrize("how", ["at once", "slowly", "later"])
async def test_a_stage_that_answers_ends_it_and_nothing_is_logged(how: str) -> None:
    class Guard(Middleware):
        name = "guard"

        def request(self, x: Exchange) -> Response:
            return Response(401)

    class SlowGuard(Guard):
        async def request(self, x: Exchange) -> Response:  # type: ignore[override]
            return Response(401)

    class LateGuard(Guard):
        def request(self, x: Exchange) -> Later:  # type: ignore[override]
            return Later(self._ask)

        async def _ask(self) -> Response:
            return Response(401)

    edge, logged, lent = Edge(), list[Exchange](), services()
    guard = stage({"at once": Guard, "slowly": SlowGuard, "later": LateGuard}[how], {}, lent)
    edge.route = route([guard, stage(Cache, {}, lent)], edge, log=[logged.append])
    x = asked(edge)
    assert not await is_missing(x)
    assert not await bring(x)
    assert (edge.asked, logged) == ([], [])
