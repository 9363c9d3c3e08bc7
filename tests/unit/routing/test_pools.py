"""Another pool in place of a route's own."""

from __future__ import annotations

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.routing.pools import Pools
from tests.support.stages import exchange


class Named:
    """A pool of one answer: its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def fetch(self, x: Exchange) -> Response:
        return Response(200, {}, self.name.encode())


async def test_the_routes_own_pool_is_asked_until_a_stage_takes_another_which_can_be_changed_again() -> None:
    pools = Pools(Named("own"), {"new": Named("new"), "shadow": Named("shadow")})
    new = pools.instead("new")
    assert [(await each.fetch(exchange())).body for each in (pools, new, new.instead("shadow"), pools)] == [
        b"own",
        b"new",
        b"shadow",
        b"own",
    ]
    assert (pools.name, new.name) == ("own", "new")
