"""Which region comes first for whom."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import pytest

from edgeproxy.balance.pace import Pace, Usual
from edgeproxy.config.regions import PreferConfig, RegionConfig
from edgeproxy.origin.regions import ENOUGH, LATELY, MOST_PLACES, Regions
from edgeproxy.pipeline.exchange import NOWHERE, Place

BERLIN, TOKYO, CHICAGO = (Place(at=at) for at in ((52.5, 13.4), (35.7, 139.7), (41.9, -87.6)))
REGIONS: dict[str, dict[str, Any]] = {
    "us": {"at": (39.0, -77.5)},
    "eu": {"at": (50.1, 8.7)},
    "asia": {"at": (1.3, 103.8)},
}


@dataclass
class Measured:
    """An endpoint by what it takes."""

    region: str
    probe_seconds: float = 0.0
    requests: int = 0
    pace: Pace = field(default_factory=Pace)


def regions(prefer: dict[str, Any], *endpoints: Measured, **more: dict[str, Any]) -> Regions:
    named = {name: RegionConfig.model_validate(REGIONS[name] | more.get(name, {})) for name in REGIONS}
    return Regions(named, PreferConfig.model_validate(prefer), lambda: endpoints)


def first(chosen: Regions, place: Place, now: float = 1.0) -> str:
    return chosen.order(place, now)[0]


DISTANCE = {"by": "distance"}


@pytest.mark.parametrize(
    ("place", "order"),
    [
        (BERLIN, ("eu", "us", "asia")),
        (CHICAGO, ("us", "eu", "asia")),
        (TOKYO, ("asia", "eu", "us")),
        (Place("BR"), ("us", "eu", "asia")),
        (Place("DE", at=TOKYO.at), ("asia", "eu", "us")),  # coordinates know better than the country
        (NOWHERE, ("us", "eu", "asia")),  # as they stand in the file
        (Place("ZZ"), ("us", "eu", "asia")),
    ],
)
def test_the_nearest_region_comes_first(place: Place, order: tuple[str, ...]) -> None:
    assert regions(DISTANCE).order(place, 1.0) == order


def test_a_country_may_name_its_region_however_far_that_is() -> None:
    chosen = regions(DISTANCE, asia={"countries": ["DE", "AT"]})
    assert chosen.order(Place("DE", at=BERLIN.at), 1.0) == ("asia", "eu", "us")
    assert chosen.order(Place("AT"), 1.0) == ("asia", "eu", "us")
    assert first(chosen, Place("CH")) == "eu"


def test_a_region_that_is_nowhere_comes_last_but_for_its_countries() -> None:
    chosen = regions(DISTANCE, us={"at": None, "countries": ["US"]})
    assert chosen.order(CHICAGO, 1.0) == ("eu", "asia", "us")
    assert first(chosen, Place("US", at=CHICAGO.at)) == "us"


def test_places_that_are_remembered_have_a_bound() -> None:
    chosen = regions(DISTANCE)
    for number in range(2 * MOST_PLACES):
        chosen.order(Place(at=(number % 170 - 85.0, number // 170 * 2.0)), 1.0)
    assert len(chosen._orders) <= MOST_PLACES


def test_the_nearest_gives_way_when_it_is_slower_than_the_fastest_by_more_than_the_threshold() -> None:
    here, there = Measured("eu", 0.050), Measured("us", 0.045)
    chosen = regions({"by": "latency", "threshold": "10ms"}, here, there, Measured("asia", 0.2))
    assert chosen.order(BERLIN, 1.0) == ("eu", "us", "asia")
    here.probe_seconds = 0.056
    assert first(chosen, BERLIN, 1.5) == "eu"  # they are compared once a second
    assert chosen.order(BERLIN, 2.0) == ("us", "eu", "asia")


def test_one_that_was_slower_comes_back_when_it_clearly_is_not() -> None:
    here, there = Measured("eu", 0.056), Measured("us", 0.045)
    chosen = regions({"by": "latency", "threshold": "10ms"}, here, there)
    seen = []
    for now, seconds in enumerate((0.056, 0.054, 0.056, 0.054, 0.049), 1):
        here.probe_seconds = seconds
        seen.append(first(chosen, BERLIN, float(now)))
    assert seen == ["us"] * 4 + ["eu"]


def test_one_slow_endpoint_makes_no_region_slow() -> None:
    chosen = regions({"by": "latency"}, *(Measured("eu", each) for each in (0.02, 0.03, 1.0)), Measured("us", 0.03))
    assert first(chosen, BERLIN) == "eu"


def test_a_region_that_nobody_has_measured_counts_as_the_fastest() -> None:
    chosen = regions({"by": "latency"}, Measured("eu"), Measured("us", 0.02), Measured("asia", 0.2))
    assert chosen.order(BERLIN, 1.0) == ("eu", "us", "asia")
    assert chosen.seconds == {"us": 0.02, "asia": 0.2}


def test_a_country_keeps_its_region_however_slow_that_is() -> None:
    chosen = regions({"by": "latency"}, Measured("eu", 0.5), Measured("us", 0.02), eu={"countries": ["DE"]})
    assert first(chosen, Place("DE")) == "eu"
    assert first(chosen, Place("FR")) == "us"


def asked(**took: float) -> list[Measured]:
    """Endpoints that have answered requests in so many seconds, and checks in a tenth of that."""
    usual = Usual()
    endpoints = [Measured(region, seconds / 10, 10, Pace(usual)) for region, seconds in took.items()]
    for at in range(20):
        for endpoint in endpoints:
            endpoint.pace.took(2, took[endpoint.region], at / 5)
    return endpoints


def test_requests_tell_more_than_checks_where_all_regions_get_some() -> None:
    endpoints = asked(eu=0.3, us=0.1, asia=0.5)
    endpoints[0].probe_seconds = 0.001
    chosen = regions({"by": "latency"}, *endpoints)
    assert first(chosen, BERLIN, 1.0) == "eu"  # by checks: whether these requests are of late is not known yet
    for endpoint in endpoints:
        endpoint.requests += ENOUGH
    assert chosen.order(BERLIN, 1.0 + LATELY) == ("us", "eu", "asia")
    assert chosen.seconds == pytest.approx({"eu": 0.3, "us": 0.1, "asia": 0.5}, rel=0.5)
    assert first(chosen, BERLIN, 1.0 + 2 * LATELY) == "eu"  # nobody was asked meanwhile


@pytest.mark.parametrize("some", [0, ENOUGH - 1])
def test_checks_tell_where_a_region_gets_too_few(some: int) -> None:
    here, there = asked(eu=0.3, us=0.1)
    here.probe_seconds = 0.001
    chosen = regions({"by": "latency"}, here, there)
    for now in (1.0, 1.0 + LATELY, 1.0 + 2 * LATELY):
        assert first(chosen, BERLIN, now) == "eu"
        here.requests += 1000
        there.requests += some
    assert chosen.seconds == {"eu": 0.001, "us": 0.01}


def test_a_price_is_worth_as_much_time_as_is_said() -> None:
    endpoints = Measured("eu", 0.020), Measured("us", 0.045), Measured("asia", 0.2)
    prices = {"eu": {"cost": 8}, "us": {"cost": 5}, "asia": {"cost": 1}}
    for worth, expected in (("0s", "eu"), ("1ms", "eu"), ("13ms", "us"), ("100ms", "asia")):
        settings = {"by": "cost", "worth": worth, "threshold": "1ms"}
        assert first(regions(settings, *endpoints, **prices), BERLIN) == expected, worth


def test_where_nothing_is_measured_the_price_decides() -> None:
    chosen = regions({"by": "cost", "worth": "100ms"}, Measured("eu"), eu={"cost": 3}, us={"cost": 2}, asia={"cost": 1})
    assert chosen.order(BERLIN, 1.0) == ("asia", "us", "eu")
