"""Which pool a miss goes to by where its client is."""

from __future__ import annotations

from collections.abc import Mapping

from edgeproxy.config.snapshot import Origin
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange


class ByCountry:
    """An origin that is one of several: ``countries`` by ISO 3166-1 code, ``elsewhere`` for all others and where the
    client's country is not known."""

    def __init__(self, elsewhere: Origin, countries: Mapping[str, Origin]) -> None:
        self.name = elsewhere.name
        self.elsewhere = elsewhere
        self.countries = countries

    async def fetch(self, x: Exchange) -> Response:
        return await self.countries.get(x.place.country, self.elsewhere).fetch(x)

    def __repr__(self) -> str:
        return f"<ByCountry {self.name} {', '.join(sorted(self.countries))}>"
