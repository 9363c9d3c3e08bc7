"""Pools that stages may have asked in place of a route's own."""

from __future__ import annotations

from collections.abc import Mapping

from edgeproxy.config.snapshot import Origin
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange


class Pools:
    """A route's ``own`` origin, and the ``others`` that its stages name."""

    def __init__(self, own: Origin, others: Mapping[str, Origin]) -> None:
        self.name = own.name
        self.own = own
        self.others = others

    def instead(self, pool: str) -> Pools:
        """The same with that pool as its own."""
        return Pools(self.others[pool], self.others)

    async def fetch(self, x: Exchange) -> Response:
        return await self.own.fetch(x)

    def __repr__(self) -> str:
        return f"<Pools {self.name}, or {', '.join(sorted(self.others))}>"
