"""Says where the client is, from MMDB files."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from edgeproxy.config.fields import EditableField
from edgeproxy.config.values import File, Many
from edgeproxy.geo.locate import Locator
from edgeproxy.http.forwarded import CLAIMS
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

MOST_PARTS = 6  # of a field's name, between dashes

Known = Literal["country", "region", "city", "asn", "organisation"]


def _settable(name: str) -> str:
    if name in ("authorization", "cookie") or name.encode() in CLAIMS:
        raise ValueError(f"{name} has a meaning of its own; choose a field like x-country")
    if len(name.replace("_", "-").split("-")) > MOST_PARTS:
        raise ValueError(f"{name} has more than {MOST_PARTS} parts; choose a shorter name, like x-country")
    return name


class Geo(Middleware):
    """Find the client's country, region, city, coordinates and network in MMDB files: MaxMind's (GeoIP2, GeoLite2),
    DB-IP's, IPinfo's and those of @ip-location-db.

    Others go by it: `country` and `asn` in `access_rules`, keys of `rate_limit`, the cache's key, the regions pools
    `prefer`. An origin whose answers differ by a field that is passed to it must name the field in `Vary`, or the cache
    keep them apart by `key: {country: true}`; otherwise the first visitor's country decides what the others get.

    Files are read by a copy in memory that all workers share. Each is gone through before it is used, so a damaged one
    is refused at the start, and later changes nothing. A file that was written or replaced is in service within five
    seconds (`edgeproxy_geo_reload_total` counts), a missing or damaged one is told in the log and leaves the one there
    was. `edgeproxy_geo_age_seconds` tells how old the data are.
    """

    name = "geo"

    class Config(MiddlewareConfig):
        files: Annotated[tuple[File, ...], Many] = Field(min_length=1, max_length=8)
        """MMDB files: `[country.mmdb, asn.mmdb]`. What several say of an address is put together; where they differ,
        the earlier one counts."""

        pass_: dict[Known, Annotated[EditableField, AfterValidator(_settable)]] = Field(default={}, alias="pass")
        """What the origin is told, and in which field: `{country: x-country, region: x-region, city: x-city,
        asn: x-asn, organisation: x-network}`. Countries are ISO 3166-1 codes, regions what the file has: codes (ISO
        3166-2) or names. Text is UTF-8; what is not known is left out. What clients send under these names is removed.
        """

        @model_validator(mode="after")
        def _fields_differ(self) -> Self:
            if len(set(self.pass_.values())) < len(self.pass_):
                raise ValueError("pass: two of them have the same field")
            return self

    request: Callable[[Exchange], None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        from edgeproxy.geo.files import Files  # late: the reader is needed only where the stage is

        metrics = services.metrics
        outcomes = metrics.counter(
            "edgeproxy_geo_reload_total", "MMDB files that changed, by what became of them.", ("file", "outcome")
        )
        self._files = Files(config.files, services.folder, self._forget, outcomes.inc)
        self._locator = Locator(self._files.find, {what: name.encode() for what, name in config.pass_.items()})
        self.request = self._locator.tell if config.pass_ else self._locator.locate
        about = "Time since the file's data were made."
        metrics.gauge("edgeproxy_geo_age_seconds", about, ("file",), self._age, merge="max")
        if services.folder is None:  # a trial: nothing will be started
            self._files.open()

    async def start(self) -> None:
        await self._files.start()

    async def stop(self) -> None:
        await self._files.stop()

    def _forget(self) -> None:
        self._locator.forget()

    def _age(self) -> Iterable[tuple[tuple[str, ...], float]]:
        now = self.services.clock.wall()
        return [((name,), now - built) for name, built in self._files.built()]
