"""Where the client is, and what the origin is told of it: what every request passes."""

from __future__ import annotations

from collections.abc import Callable

from edgeproxy.http.addresses import canonical
from edgeproxy.pipeline.exchange import NOWHERE, Exchange, Place
from edgeproxy.pipeline.memo import Memo

Fields = tuple[tuple[bytes, bytes], ...]


class Spot:
    """A place, and the fields that tell the origin of it."""

    __slots__ = ("fields", "place")

    def __init__(self, place: Place, fields: Fields) -> None:
        self.place = place
        self.fields = fields


class Locator:
    """``find`` gives the place of an address in canonical form; ``told`` the names of the fields, by what of the place
    they tell (``country``, ``region``, ``city``, ``asn``, ``organisation``)."""

    def __init__(self, find: Callable[[str], Place], told: dict[str, bytes]) -> None:
        self._find: Callable[[str], Place] = find
        self._told = told
        self._owned = frozenset([spelled for name in told.values() for spelled in spellings(name)])
        self._spots: Memo[str, Spot] = Memo(self._spot, 16_384, longest=64)

    def locate(self, x: Exchange) -> None:
        """Set the exchange's place."""
        x.place = self._spots[x.client].place

    def tell(self, x: Exchange) -> None:
        """The same, and put it into the request's fields. What the client sent under their names is removed."""
        spot = self._spots[x.client]
        x.place = spot.place
        headers = x.request.headers
        if not headers.keys().isdisjoint(self._owned):
            for name in self._owned.intersection(headers):
                del headers[name]
        # Here, not in the fetch phase: an origin's Vary may name them.
        for name, value in spot.fields:
            headers[name] = value

    def forget(self) -> None:
        """The files have changed."""
        self._spots.forget()

    def _spot(self, client: str) -> Spot:
        address = canonical(client)
        place = NOWHERE if address is None else self._find(address)
        known = {
            "country": place.country,
            "region": place.region,
            "city": place.city,
            "asn": str(place.asn or ""),
            "organisation": place.organisation,
        }
        return Spot(place, tuple([(name, known[what].encode()) for what, name in self._told.items() if known[what]]))


def spellings(name: bytes) -> list[bytes]:
    """A field's name with ``-`` and ``_`` in all places there is one of them: CGI and WSGI read them as the same."""
    first, *rest = name.replace(b"_", b"-").split(b"-")
    spelled = [first]
    for part in rest:
        spelled = [begun + joiner + part for begun in spelled for joiner in (b"-", b"_")]
    return spelled
