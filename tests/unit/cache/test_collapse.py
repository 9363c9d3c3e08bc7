"""What is under way: by key and variant, joined until it lands, forgotten as a whole by a purge."""

from __future__ import annotations

from edgeproxy.cache.collapse import Flight, Flights
from edgeproxy.errors import EdgeError, Kind


def test_a_flight_is_joined_by_who_selects_its_variant_until_it_has_landed() -> None:
    flights, flight = Flights(), Flight()
    flights.add(b"k", b"en", flight)
    assert flights.waiting(b"k", b"en") is flight
    assert flights.waiting(b"k", b"de") is None
    assert flights.waiting(b"other", b"en") is None
    flight.fail(EdgeError(Kind.CONNECTION_LOST, "origin"))
    assert flights.waiting(b"k", b"en") is None


def test_what_took_its_place_is_not_removed_with_it() -> None:
    flights, first, second = Flights(), Flight(), Flight()
    flights.add(b"k", b"", first)
    flights.add(b"k", b"", second)
    flights.remove(b"k", b"", first)
    assert flights.waiting(b"k", b"") is second
    flights.remove(b"k", b"", second)
    assert repr(flights) == "<Flights 0 under way>"


def test_a_purge_reaches_all_variants_of_its_key() -> None:
    flights = Flights()
    here = [Flight(), Flight()]
    elsewhere = Flight()
    flights.add(b"k", b"en", here[0])
    flights.add(b"k", b"de", here[1])
    flights.add(b"other", b"en", elsewhere)
    flights.purge(b"k")
    assert [flight.purged for flight in (*here, elsewhere)] == [True, True, False]
    assert flights.waiting(b"k", b"en") is None
    flights.remove(b"k", b"en", here[0])
