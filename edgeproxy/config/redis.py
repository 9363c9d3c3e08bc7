"""The section of Redis, which nodes share."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field, SecretStr, model_validator

from edgeproxy.config.section import Section
from edgeproxy.config.units import Duration, Size
from edgeproxy.config.values import File, Many
from edgeproxy.redis.link import Settings

_SCHEMES = ("redis", "rediss", "unix")


def _url(text: str) -> str:
    try:
        url = urlsplit(text)
        right = url.scheme in _SCHEMES and bool(url.path if url.scheme == "unix" else url.hostname) and url.port != 0
    except ValueError:
        right = False
    if not right or url.fragment or (url.query and url.scheme != "unix"):
        raise ValueError("must be like redis://host:6379/0, rediss://host:6379/0 (TLS) or unix:///run/redis.sock?db=0")
    return text


def _prefix(text: str) -> str:
    if not text or re.search(r"[\s{}]", text):
        raise ValueError(f"{text!r} is no beginning of keys: 1 to 64 characters without blanks and braces")
    return text


RedisUrl = Annotated[str, AfterValidator(_url)]


class RedisConfig(Section):
    """The shared tier, L3, and the way purges take to other nodes. Redis bounds its own memory: give it `maxmemory` and
    a `maxmemory-policy` that evicts (`allkeys-lfu`)."""

    url: Annotated[tuple[RedisUrl, ...], Many] = Field(min_length=1, max_length=16)
    """`redis://[user@]host[:port][/db]`, `rediss://` for TLS, `unix:///path`; of a cluster or of Sentinels some of
    their nodes, 1 to 16."""
    password: SecretStr | None = None
    """The password, if it does not stand in the URL. Write it as `${NAME}`."""
    topology: Literal["single", "cluster", "sentinel"] = "single"
    """What is at that address: one server, a node of a Cluster, or a Sentinel."""
    master: str | None = Field(None, min_length=1)
    """The name Sentinels know the master by."""
    ca: File | None = None
    """File with the authorities to trust for `rediss://` instead of the system's, PEM."""
    prefix: Annotated[str, AfterValidator(_prefix)] = Field("edgeproxy:", max_length=64)
    """What all keys begin with: nodes with the same one share."""
    timeout: Duration = Field(0.05, ge=0.001, le=5)
    """How long a request waits for it before it goes to the origin: 1ms to 5s."""
    connections: int = Field(16, ge=1, le=1_000)
    """Most connections per worker: 1 to 1000."""
    largest: Size = Field(1_000_000, ge=0, le=64_000_000)
    """The largest body shared: 0 to 64MB. At 0, purges alone are."""
    longest: Duration = Field(86_400, ge=1, le=2_592_000)
    """The longest an answer stays there: 1s to 30d."""

    @model_validator(mode="before")
    @classmethod
    def _address_alone(cls, data: Any) -> Any:
        return {"url": data} if isinstance(data, str) else data

    @model_validator(mode="after")
    def _fits(self) -> RedisConfig:
        if (self.topology == "sentinel") != (self.master is not None):
            raise ValueError("topology: sentinel needs master, its name there, and nothing else does")
        if self.topology == "single" and len(self.url) > 1:
            raise ValueError("several addresses are of a cluster or of Sentinels: say which in topology")
        if self.topology != "single" and any(url.startswith("unix:") for url in self.url):
            raise ValueError(f"topology: {self.topology} has no Unix sockets")
        if self.topology == "cluster" and any(urlsplit(url).path.strip("/0") for url in self.url):
            raise ValueError("a cluster has one database, 0")
        return self

    def settings(self) -> Settings:
        """The same as the cache takes it."""
        return Settings(
            urls=self.url,
            topology=self.topology,
            master=self.master or "",
            password=None if self.password is None else self.password.get_secret_value(),
            ca=self.ca,
            prefix=self.prefix,
            timeout=self.timeout,
            connections=self.connections,
            largest=self.largest,
            longest=self.longest,
        )
