"""What the records of MMDB files say, whoever made the file, as a Place; and the Places of several files as one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from edgeproxy.pipeline.exchange import NOWHERE, Place

LONGEST: Final = 128  # characters of a name

Steps = tuple[str, ...]


def place(record: object) -> Place:
    """What one record says; "" and 0 for what it does not, or not in a form that makes sense."""
    if not isinstance(record, dict):
        return NOWHERE
    found: list[Any] = ["", "", "", 0, ""]
    for key in record:
        for field, steps, read in _TOLD.get(key, ()):
            value = record[key]
            for step in steps:
                if isinstance(value, list):
                    value = value[0] if value else None
                value = value.get(step) if isinstance(value, dict) else None
            if value and not found[field]:
                found[field] = read(value)
    country, region, city, asn, organisation = found
    return Place(country, region, city, asn, organisation)


def merge(places: Iterable[Place]) -> Place:
    """One Place of what several files say of an address, earlier ones first.

    Region and city are taken together, and from a file that does not contradict the country; a network's organisation
    from a file that does not contradict its number. So no two files make up a place that neither of them means.
    """
    whole = NOWHERE
    for said in places:
        if whole is NOWHERE:
            whole = said
            continue
        country, region, city, asn, organisation = whole
        if not (region or city) and (not country or said.country in ("", country)):
            region, city = said.region, said.city
        if not organisation and (not asn or said.asn in (0, asn)):
            organisation = said.organisation
        whole = Place(country or said.country, region, city, asn or said.asn, organisation)
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
    "traits": (
        (3, ("autonomous_system_number",), _asn),
        (4, ("autonomous_system_organization",), _name),
    ),
}
