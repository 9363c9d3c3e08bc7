"""What the records of MMDB files say, whoever made the file, as a Place; and the Places of several files as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from edgeproxy.pipeline.exchange import NOWHERE, Place

LONGEST: Final = 128  # characters of a name

Steps = tuple[str, ...]


def place(record: object) -> Place:
    """What one record says; "", 0 and None for what it does not, or not in a form that makes sense."""
    if not isinstance(record, dict):
        return NOWHERE
    found: list[Any] = ["", "", "", 0, "", None, None]
    for key in record:
        for field, steps, read in _TOLD.get(key, ()):
            value = record[key]
            for step in steps:
                if isinstance(value, list):
                    value = value[0] if value else None
                value = value.get(step) if isinstance(value, dict) else None
            if value is not None and not found[field]:
                found[field] = read(value)
    country, region, city, asn, organisation, latitude, longitude = found
    return Place(country, region, city, asn, organisation, _point(latitude, longitude))


def merge(places: Iterable[Place]) -> Place:
    """One Place of what several files say of an address, earlier ones first.

    Region, city and coordinates are taken together, and from a file that does not contradict the country; a network's
    organisation from a file that does not contradict its number. So no two files make up a place that neither of them
    means.
    """
    whole = NOWHERE
    for said in places:
        if whole is NOWHERE:
            whole = said
            continue
        country, region, city, asn, organisation, at = whole
        if not (region or city or at) and (not country or said.country in ("", country)):
            region, city, at = said.region, said.city, said.at
        if not organisation and (not asn or said.asn in (0, asn)):
            organisation = said.organisation
        whole = Place(country or said.country, region, city, asn or said.asn, organisation, at)
    return whole


def _country(value: object) -> str:
    """An ISO 3166-1 code; ZZ is set aside there for "unknown"."""
    if isinstance(value, str) and len(value) == 2 and value.isascii() and value.isalpha():
        code = value.upper()
        return "" if code == "ZZ" else code
    return ""


def _name(value: object) -> str:
    return value[:LONGEST].strip() if isinstance(value, str) and value.isprintable() else ""


def _asn(value: object) -> int:
    """15169, or "AS15169"."""
    if isinstance(value, str):
        digits = value.upper().removeprefix("AS")
        value = int(digits) if digits.isascii() and digits.isdigit() and len(digits) <= 10 else 0
    return value if isinstance(value, int) and 0 < value < 2**32 else 0


def _degrees(value: object) -> float | None:
    """52.52, or "52.52"."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return float(value)
    except (ValueError, OverflowError):
        return None


def _point(latitude: float | None, longitude: float | None) -> tuple[float, float] | None:
    """What lies on the earth. 0, 0 is in the sea off Africa, and stands for "unknown" in many a file."""
    if latitude is None or longitude is None or (latitude == 0 and longitude == 0):
        return None
    return (latitude, longitude) if -90 <= latitude <= 90 and -180 <= longitude <= 180 else None


# By the keys of a record: which of a Place's fields they tell, where below them (of a list, in its first), and how it
# is read. MaxMind (GeoIP2, GeoLite2) nests; DB-IP, @ip-location-db and IPinfo are flat.
_TOLD: Final[dict[str, tuple[tuple[int, Steps, Callable[[object], Any]], ...]]] = {
    "country": ((0, ("iso_code",), _country), (0, (), _country)),
    "country_code": ((0, (), _country),),
    "subdivisions": ((1, ("iso_code",), _name),),
    "state1": ((1, (), _name),),
    "region_code": ((1, (), _name),),
    "region": ((1, (), _name),),
    "city": ((2, ("names", "en"), _name), (2, (), _name)),
    "autonomous_system_number": ((3, (), _asn),),
    "asn": ((3, (), _asn),),
    "autonomous_system_organization": ((4, (), _name),),
    "as_name": ((4, (), _name),),
    "latitude": ((5, (), _degrees),),
    "lat": ((5, (), _degrees),),
    "longitude": ((6, (), _degrees),),
    "lng": ((6, (), _degrees),),
    "location": ((5, ("latitude",), _degrees), (6, ("longitude",), _degrees)),
    "traits": (
        (3, ("autonomous_system_number",), _asn),
        (4, ("autonomous_system_organization",), _name),
    ),
}
