from __future__ import annotations

import pytest

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange, Place
from edgeproxy.routing.geo import ByCountry
from tests.support.stages import exchange


class Named:
    """A pool of one answer: its name."""

    def __init__(self, name: str) -> None:
        self.name = name

    async def fetch(self, x: Exchange) -> Response:
        return Response(200, {}, self.name.encode())


@pytest.mark.parametrize(("country", "pool"), [("DE", b"eu"), ("NO", b"eu"), ("US", b"rest"), ("", b"rest")])
async def test_a_miss_goes_to_the_pool_of_its_clients_country_or_to_the_one_for_all_others(
    country: str, pool: bytes
) -> None:
    eu = Named("eu")
    x = exchange()
    x.place = Place(country)
    assert (await ByCountry(Named("rest"), {"DE": eu, "NO": eu}).fetch(x)).body == pool
