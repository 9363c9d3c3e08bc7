"""Where clients are, and what the origin is told."""

from __future__ import annotations

from edgeproxy.geo.locate import Locator, spellings
from edgeproxy.pipeline.exchange import NOWHERE, Place
from tests.support.stages import exchange

BERLIN = Place("DE", "BE", "Berlin", 64496, "Beispiel für alle")


class Map:
    def __init__(self, place: Place = BERLIN) -> None:
        self.place = place
        self.asked: list[str] = []

    def find(self, address: str) -> Place:
        self.asked.append(address)
        return self.place


def test_a_client_is_looked_up_once_until_the_files_change() -> None:
    where = Map()
    locator = Locator(where.find, {})
    for _ in range(3):
        x = exchange(client="::ffff:192.0.2.7")
        locator.locate(x)
        assert x.place == BERLIN
    assert where.asked == ["192.0.2.7"]
    where.place = Place("AT")
    locator.forget()
    locator.locate(x)
    assert x.place == Place("AT")


def test_nobodys_address_is_nowhere() -> None:
    where = Map()
    x = exchange(client="")
    Locator(where.find, {}).locate(x)
    assert x.place == NOWHERE
    assert where.asked == []


def test_the_origin_is_told_what_is_known() -> None:
    told = {"country": b"x-country", "city": b"x-city", "asn": b"x-asn", "organisation": b"x-network"}
    x = exchange()
    Locator(Map(BERLIN._replace(city="")).find, told).tell(x)
    assert x.place == BERLIN._replace(city="")
    assert x.request.headers == {
        b"x-country": b"DE",
        b"x-asn": b"64496",
        b"x-network": "Beispiel für alle".encode(),
    }


def test_what_clients_say_of_themselves_is_removed_however_it_is_spelled() -> None:
    forged = dict.fromkeys((b"x-geo-country", b"x_geo_country", b"x-geo_country", b"x_geo-country"), b"US")
    x = exchange(headers=forged | {b"x-geo-countryside": b"kept"})
    Locator(Map(NOWHERE).find, {"country": b"x-geo-country"}).tell(x)
    assert x.request.headers == {b"x-geo-countryside": b"kept"}


def test_a_name_is_spelled_in_all_ways_that_cgi_reads_as_one() -> None:
    assert sorted(spellings(b"a-b_c")) == sorted([b"a-b-c", b"a_b-c", b"a-b_c", b"a_b_c"])
    assert spellings(b"country") == [b"country"]


def test_what_is_remembered_has_a_bound() -> None:
    locator = Locator(Map().find, {})
    for number in range(20_000):
        locator.locate(exchange(client=f"10.{number >> 8}.{number & 255}.1"))
    assert len(locator._spots) <= 16_384
    locator.locate(exchange(client="x" * 500))
    assert max(map(len, locator._spots._new)) < 65
