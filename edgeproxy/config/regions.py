"""The part of a pool's section that says where its endpoints are, and which of these places comes first."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, WithJsonSchema

from edgeproxy.config.section import Section
from edgeproxy.config.units import Duration
from edgeproxy.config.values import Country, Many, Off

By = Literal["distance", "latency", "cost"]


def _two(value: Any) -> Any:
    if not isinstance(value, list | tuple) or len(value) != 2:
        raise ValueError(f"{value!r} is no place; write latitude and longitude in degrees: [50.1, 8.7]")
    return value


def _preferred(value: Any) -> Any:
    return {"by": value} if isinstance(value, str) and value != "off" else value


Coordinates = Annotated[
    tuple[Annotated[float, Field(ge=-90, le=90)], Annotated[float, Field(ge=-180, le=180)]],
    BeforeValidator(_two),
    WithJsonSchema({"type": "array", "items": {"type": "number"}, "minItems": 2, "maxItems": 2}),
]


class RegionConfig(Section):
    """Where some of a pool's endpoints are."""

    at: Coordinates | None = None
    """Latitude and longitude in degrees, north and east of 0: `[50.1, 8.7]`."""
    countries: Annotated[tuple[Country, ...], Many] = ()
    """Countries whose clients come here first, wherever it is and whatever it takes: `[DE, AT]`."""
    cost: float = Field(0, ge=0, le=1_000_000)
    """What a GB from there costs, in the same unit for all regions: cents, say."""


class PreferConfig(Section):
    """Which region a client's requests go to first. The next one takes what this one has too few fit endpoints for."""

    by: By
    """`distance`: the nearest to the client by the great circle. `latency`: the nearest unless it is slower than the
    fastest by more than `threshold`. `cost`: the same with the price of a GB counted as time, as much as it is `worth`.
    How fast a region is, is measured from this node: by health checks, or by requests where all regions get many.
    """
    threshold: Duration = Field(0.01, ge=0, le=60)
    """By `latency` and `cost`, regions that differ by less count as equal: 0s to 1m. One that was slower is taken again
    when it is by less than half of it, so that requests do not move to and fro."""
    worth: Duration = Field(0.01, ge=0, le=3600)
    """By `cost`, what a price higher by 1 is worth in time: with `10ms`, a region where a GB costs 3 more is taken if
    it is faster by more than 30ms: 0s to 1h."""


Prefer = Annotated[
    PreferConfig | None, Off, BeforeValidator(_preferred, json_schema_input_type=PreferConfig | By | None)
]


def check(regions: Mapping[str, RegionConfig], prefer: PreferConfig | None, *, checked: bool) -> None:
    """Raises ValueError if ``prefer`` asks for what nobody can know; ``checked``: the endpoints' health is."""
    if prefer is None:
        return
    if not regions:
        raise ValueError(f"prefer: {prefer.by} chooses among regions, and there are none")
    placeless = [name for name, region in regions.items() if region.at is None and not region.countries]
    if prefer.by == "distance" and placeless:
        raise ValueError(f"prefer: distance needs every region's place; regions.{placeless[0]} has no at")
    if prefer.by == "latency" and not checked:
        raise ValueError("prefer: latency needs health: a region that gets no requests is measured by its checks")
