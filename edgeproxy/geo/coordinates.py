"""Where the people of a country live, and how far two points of the earth are apart."""

from __future__ import annotations

from functools import cache
from math import asin, cos, radians, sin, sqrt
from pathlib import Path

RADIUS = 6371.0088  # km: the earth's mean radius (IUGG)
_FILE = Path(__file__).with_name("data") / "countries.txt"

Point = tuple[float, float]


def distance(a: Point, b: Point) -> float:
    """Kilometres between two points, latitude and longitude in degrees, along the great circle (haversine formula)."""
    north, south = radians(a[0]), radians(b[0])
    arc = sin((south - north) / 2) ** 2 + cos(north) * cos(south) * sin(radians(b[1] - a[1]) / 2) ** 2
    return 2 * RADIUS * asin(sqrt(min(1.0, arc)))


def middle(country: str) -> Point | None:
    """The mean place of the people in a country (ISO 3166-1); None for what is none, or where nobody lives."""
    return _countries().get(country)


@cache
def _countries() -> dict[str, Point]:
    lines = _FILE.read_text(encoding="utf-8").splitlines()
    rows = [line.split("\t") for line in lines if not line.startswith("#")]
    return {code: (float(latitude), float(longitude)) for code, latitude, longitude in rows}
