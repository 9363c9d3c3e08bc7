"""Records of all makers as one kind of Place."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.geo.layout import LONGEST, merge, place
from edgeproxy.pipeline.exchange import NOWHERE, Place

MAXMIND_CITY = {
    "city": {"geoname_id": 2643743, "names": {"de": "London (de)", "en": "London"}},
    "continent": {"code": "EU", "names": {"en": "Europe"}},
    "country": {"iso_code": "GB", "names": {"en": "United Kingdom"}},
    "location": {"accuracy_radius": 10, "latitude": 51.5142, "longitude": 0, "time_zone": "Europe/London"},
    "registered_country": {"iso_code": "US"},
    "subdivisions": [{"iso_code": "ENG", "names": {"en": "England"}}, {"iso_code": "LND"}],
    "traits": {"autonomous_system_number": 64496, "autonomous_system_organization": "Example Ltd"},
}


@pytest.mark.parametrize(
    ("record", "expected"),
    [
        (MAXMIND_CITY, Place("GB", "ENG", "London", 64496, "Example Ltd", (51.5142, 0.0))),
        ({"country_code": "AU"}, Place("AU")),
        (
            {"country_code": "US", "state1": "California", "state2": "", "city": "Mountain View", "latitude": 37.4},
            Place("US", "California", "Mountain View"),
        ),
        ({"city": "Quito", "latitude": 0.0, "longitude": -78.5}, Place(city="Quito", at=(0.0, -78.5))),
        ({"country": "FR", "lat": "48.85", "lng": "2.35"}, Place("FR", at=(48.85, 2.35))),
        ({"autonomous_system_number": 13, "autonomous_system_organization": "Net"}, Place(asn=13, organisation="Net")),
        ({"asn": "AS13", "as_name": "Net", "country_code": "de"}, Place("DE", asn=13, organisation="Net")),
        ({"country": "FR", "region": "Brittany"}, Place("FR", "Brittany")),
    ],
)
def test_every_layout_says_the_same(record: dict[str, Any], expected: Place) -> None:
    assert place(record) == expected


@pytest.mark.parametrize(
    "record",
    [
        None,
        7,
        [],
        {"country_code": "ZZ"},
        {"country_code": "D3"},
        {"country_code": "ÄÖ"},
        {"country": {"iso_code": ["DE"]}},
        {"country": ["DE"]},
        {"subdivisions": []},
        {"subdivisions": {"iso_code": 3}},
        {"city": "two\nlines"},
        {"autonomous_system_number": -1},
        {"autonomous_system_number": 2**32},
        {"latitude": 90.1, "longitude": 0.5},
        {"latitude": 1.0, "longitude": float("nan")},
        {"latitude": "north", "longitude": 7.5},
        {"latitude": True, "longitude": 7.5},
        {"latitude": 0.0, "longitude": 0.0},  # what files have for "unknown"
        {"latitude": 10**400, "longitude": 7.5},
        {"location": [1.5, 7.5]},
        {"asn": "AS"},
        {"asn": "AS99999999999999999999"},
    ],
)
def test_what_makes_no_sense_is_not_known(record: object) -> None:
    assert place(record) == NOWHERE


def test_names_have_a_bound() -> None:
    assert len(place({"city": "x" * 10_000}).city) == LONGEST


ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    *("country", "iso_code", "country_code", "subdivisions", "city", "names", "en", "asn"),
                    *("location", "latitude", "longitude", "lat", "lng"),
                ]
            ),
            inner,
        )
    ),
    max_leaves=8,
)


@given(ANYTHING)
def test_any_record_is_a_place_that_can_stand_in_a_field(record: object) -> None:
    said = place(record)
    assert said.country == "" or (len(said.country) == 2 and said.country.isupper())
    assert 0 <= said.asn < 2**32
    assert said.at is None or (abs(said.at[0]) <= 90 and abs(said.at[1]) <= 180)
    assert all(text.isprintable() and len(text) <= LONGEST for text in (said.region, said.city, said.organisation))


@pytest.mark.parametrize(
    ("places", "expected"),
    [
        ([], NOWHERE),
        ([Place("DE"), Place(asn=13, organisation="Net")], Place("DE", asn=13, organisation="Net")),
        ([Place("DE"), Place("DE", "BE", "Berlin")], Place("DE", "BE", "Berlin")),
        ([Place("DE"), Place("AT", "9", "Vienna")], Place("DE")),
        ([Place("DE", "BE"), Place("DE", "BY", "Munich")], Place("DE", "BE")),
        ([Place("DE"), Place("DE", at=(52.5, 13.4))], Place("DE", at=(52.5, 13.4))),
        ([Place("DE", "BE", "Berlin"), Place("DE", "BY", "Munich", at=(48.1, 11.6))], Place("DE", "BE", "Berlin")),
        ([Place("DE", at=(52.5, 13.4)), Place("DE", "BY", "Munich", at=(48.1, 11.6))], Place("DE", at=(52.5, 13.4))),
        ([Place(asn=13), Place(asn=14, organisation="Other")], Place(asn=13)),
        ([NOWHERE, Place("AT", "9", "Vienna", 14, "Net")], Place("AT", "9", "Vienna", 14, "Net")),
    ],
)
def test_several_files_make_no_place_that_none_of_them_means(places: list[Place], expected: Place) -> None:
    assert merge(places) == expected
