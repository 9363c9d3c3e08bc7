"""The stage that says where clients are."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from edgeproxy.clock import ManualClock
from edgeproxy.pipeline.exchange import Place
from edgeproxy.pipeline.middleware import Services
from middleware.geo import Geo
from tests.support.mmdb import country, mmdb, network
from tests.support.stages import exchange, services, stage


@pytest.fixture
def files(tmp_path: Path) -> list[str]:
    (tmp_path / "country.mmdb").write_bytes(mmdb({"192.0.2.0/24": country("DE")}))
    (tmp_path / "asn.mmdb").write_bytes(mmdb({"192.0.0.0/16": network(64496, "Example")}))
    return [str(tmp_path / "country.mmdb"), str(tmp_path / "asn.mmdb")]


def test_the_client_is_placed_by_all_files(files: list[str]) -> None:
    x = exchange(headers={b"x-country": b"US"})
    stage(Geo, {"files": files}).request(x)
    assert x.place == Place("DE", asn=64496, organisation="Example")
    assert x.request.headers == {b"x-country": b"US"}  # nobody said that the field is ours


def test_the_origin_is_told_in_the_fields_that_were_named(files: list[str]) -> None:
    passed = {"country": "X-Country", "asn": "x-asn", "city": "x-city"}
    x = exchange(headers={b"x_country": b"US", b"x-city": b"Forged"})
    stage(Geo, {"files": files, "pass": passed}).request(x)
    assert x.request.headers == {b"x-country": b"DE", b"x-asn": b"64496"}
    elsewhere = exchange(client="198.51.100.1", headers={b"x-country": b"US"})
    stage(Geo, {"files": files, "pass": passed}).request(elsewhere)
    assert elsewhere.request.headers == {}


def test_a_trial_finds_files_that_cannot_be_used(files: list[str]) -> None:
    Path(files[1]).write_bytes(b"<html>")
    with pytest.raises(ValueError, match=rf"{files[1]} cannot be used: it has no metadata"):
        stage(Geo, {"files": files})


async def test_a_start_finds_files_that_cannot_be_used(files: list[str], tmp_path: Path) -> None:
    lent = in_service(tmp_path)
    geo = stage(Geo, {"files": files[0]}, lent)
    cut(files[0])
    with pytest.raises(ValueError, match="cannot be used"):
        await geo.start()
    await geo.stop()


async def test_from_its_start_on_it_knows_places_and_the_age_of_its_files(files: list[str], tmp_path: Path) -> None:
    lent = in_service(tmp_path)
    geo = stage(Geo, {"files": files}, lent)
    await geo.start()
    try:
        x = exchange()
        geo.request(x)
        assert x.place.country == "DE"
        assert isinstance(lent.clock, ManualClock)
        lent.clock.advance(60)
        ages = next(family for family in lent.metrics.dump() if family["name"] == "edgeproxy_geo_age_seconds")
        assert ages["series"] == [(["country.mmdb"], [60]), (["asn.mmdb"], [60])]
        assert ages["merge"] == "max"
    finally:
        await geo.stop()


def in_service(folder: Path) -> Services:
    return replace(services(), folder=folder)


def cut(file: str) -> None:
    Path(file).write_bytes(b"")


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"files": []},
        {"files": ["a.mmdb"] * 9},
        {"files": "a.mmdb", "pass": {"contry": "x-country"}},
        {"files": "a.mmdb", "pass": {"country": "host"}},
        {"files": "a.mmdb", "pass": {"country": "authorization"}},
        {"files": "a.mmdb", "pass": {"country": "x-forwarded-for"}},
        {"files": "a.mmdb", "pass": {"country": "x-place", "city": "X-Place"}},
        {"files": "a.mmdb", "pass": {"country": "x-a-b-c-d-e-f"}},
    ],
)
def test_bad_settings_are_refused(settings: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        stage(Geo, settings)
