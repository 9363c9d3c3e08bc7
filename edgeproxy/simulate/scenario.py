"""What is played: an attack, and the good clients that are there before, during and after it."""

from __future__ import annotations

from pathlib import Path as FilePath
from typing import Annotated, Any, Final, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from edgeproxy.config.units import Duration
from edgeproxy.config.values import Many

LINE: Final = r"^[!-~]+$"
Target = Annotated[str, Field(pattern=r"^/[!-~]*$", max_length=2_000)]
Kind = Literal["get", "post", "slow-head", "slow-body", "slow-read", "idle", "handshake"]

SLOW: Final = frozenset(("slow-head", "slow-body", "slow-read", "idle", "handshake"))


class Scenario(BaseModel):
    """One attack. Numbers have bounds, so that it ends and the machine bears it."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

    kind: Kind = "get"
    """`get` and `post` ask as often as they can; `slow-head`, `slow-body`, `slow-read`, `idle` and `handshake` hold one
    connection for each request and do as little as they can with it. At `handshake` the good clients speak TLS."""
    requests: int = Field(20_000, ge=1, le=200_000)
    """Requests in all, spread over `duration`."""
    clients: int = Field(2_000, ge=1, le=20_000)
    """Addresses they come from, in 127.0.0.0/8."""
    paths: Annotated[tuple[Target, ...], Many] = Field(("/",), min_length=1, max_length=100)
    """What they ask for; `{n}` becomes another number each time, which no cache has seen."""
    agent: str = Field("Mozilla/5.0 (compatible)", pattern=r"^[ -~]*$", max_length=500)
    """Their User-Agent."""
    good: int = Field(50, ge=0, le=500)
    """Clients that behave like browsers."""
    good_paths: Annotated[tuple[Target, ...], Many] = Field(("/",), min_length=1, max_length=100)
    """What a good client asks for, one after the other: a page and what belongs to it."""
    think: Annotated[Duration, Field(ge=0.05, le=60)] = 1.0
    """How long a good client reads a page, on average: 50ms to 1m."""
    host: str = Field("localhost", pattern=LINE, max_length=253)
    """The Host everybody asks for."""
    quiet: Annotated[Duration, Field(ge=0, le=300)] = 20.0
    """How long the good clients are alone first: up to 5m. The flood stage learns from that."""
    duration: Annotated[Duration, Field(ge=1, le=300)] = 10.0
    """How long the attack lasts: 1s to 5m."""
    after: Annotated[Duration, Field(ge=0, le=600)] = 120.0
    """How long to wait for the node to be back to normal: up to 10m."""


# By name; each is what the defaults above do not say.
DESCRIBED: Final[dict[str, dict[str, Any]]] = {
    "get": {},
    "post": {"kind": "post", "requests": 5_000, "clients": 500},
    "misses": {"paths": ("/?{n}",), "requests": 10_000},
    "one-address": {"clients": 1},
    "slow-head": {"kind": "slow-head", "requests": 500, "clients": 100, "duration": 30.0},
    "slow-body": {"kind": "slow-body", "requests": 500, "clients": 100, "duration": 60.0},
    "slow-read": {"kind": "slow-read", "requests": 500, "clients": 100, "duration": 60.0},
    "idle": {"kind": "idle", "requests": 2_000, "clients": 500, "duration": 30.0},
    "handshake": {"kind": "handshake", "requests": 2_000, "clients": 500, "duration": 30.0},
}


def describe(name: str, file: FilePath | None, given: dict[str, Any]) -> Scenario:
    """A described attack by its name, or the one a YAML file describes, with what is ``given`` over it.

    Raises ValueError with a line for each mistake, OSError if the file cannot be read.
    """
    told: Any = DESCRIBED[name]
    if file is not None:
        try:
            told = yaml.safe_load(file.read_text(encoding="utf-8"))
        except (yaml.YAMLError, UnicodeError) as error:
            raise ValueError(f"{file} is not YAML: {error}") from None
        if not isinstance(told, dict):
            raise ValueError(f"{file} does not describe an attack: a map is wanted")
    try:
        return Scenario.model_validate({**told, **given})
    except ValidationError as error:
        problems = [f"{'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors()]
        raise ValueError("\n".join(problems)) from None
