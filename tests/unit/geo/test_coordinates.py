"""Distances, and where countries are."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgeproxy.geo.coordinates import RADIUS, Point, distance, middle

FRANKFURT, ASHBURN, TOKYO = (50.11, 8.68), (39.04, -77.49), (35.68, 139.69)
POINTS = st.tuples(st.floats(-90, 90), st.floats(-180, 180))


@pytest.mark.parametrize(
    ("a", "b", "expected"),
    [
        (FRANKFURT, ASHBURN, 6_555),
        (FRANKFURT, TOKYO, 9_350),
        ((64.1, -21.9), (64.1, -21.9), 0),
        ((0.0, 179.5), (0.0, -179.5), 111),  # over the date line
        ((90.0, 0.0), (-90.0, 0.0), 20_015),
    ],
)
def test_distances_are_those_of_the_great_circle(a: Point, b: Point, expected: float) -> None:
    assert distance(a, b) == pytest.approx(expected, rel=0.005)


@given(POINTS, POINTS)
def test_no_two_points_are_farther_apart_than_half_the_way_round(a: Point, b: Point) -> None:
    assert 0 <= distance(a, b) <= math.pi * RADIUS + 1e-6
    assert distance(a, b) == pytest.approx(distance(b, a), abs=1e-3)


@pytest.mark.parametrize(
    ("country", "near"),
    [
        ("DE", (51.0, 10.0)),
        ("FJ", (-18.0, 178.0)),  # its islands lie on both sides of the date line
        ("CA", (47.0, -88.0)),  # its people, not its land
        ("AU", (-34.0, 145.0)),
    ],
)
def test_a_country_is_where_its_people_live(country: str, near: Point) -> None:
    found = middle(country)
    assert found is not None
    assert distance(found, near) < 250


def test_what_is_no_country_is_nowhere() -> None:
    assert [middle(code) for code in ("", "ZZ", "de", "Germany")] == [None] * 4
