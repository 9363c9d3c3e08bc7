"""The configuration's shape. Each field's docstring is the reference: what it does, its unit, its range.

Durations are seconds, sizes bytes and shares fractions once loaded, whatever unit they were written in.
"""

from __future__ import annotations

import os
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import Field, PrivateAttr, model_validator

from edgeproxy.config.acme import AcmeConfig
from edgeproxy.config.admin import AdminConfig
from edgeproxy.config.http3 import Http3Config
from edgeproxy.config.models import ModelsConfig
from edgeproxy.config.pools import PoolConfig
from edgeproxy.config.protocols import Http2Config
from edgeproxy.config.redis import RedisConfig
from edgeproxy.config.section import Section
from edgeproxy.config.tls import TlsConfig
from edgeproxy.config.units import Address, Cidr, Duration, Share, Size
from edgeproxy.config.values import (
    Country,
    FieldName,
    FolderPath,
    Host,
    Many,
    Method,
    Name,
    Off,
    Path,
    Regex,
    StageMap,
    Workers,
)
from edgeproxy.observe.redact import SENSITIVE


class ListenerConfig(Section):
    """One address that is listened on."""

    address: Address
    """`127.0.0.1:8080`, `[::]:8443`, `:8080` (all IPv4 addresses) or `unix:/run/edge.sock`."""
    tls: Annotated[TlsConfig | None, Off] = None
    """TLS settings; without them the listener speaks plain HTTP."""
    protocols: Annotated[tuple[Literal["h1", "h2", "h3"], ...], Many] = Field((), max_length=3)
    """What is spoken: `h1` (HTTP/1.1), `h2` (HTTP/2); with TLS both by default, and the client chooses (ALPN). Without
    TLS `h1` by default, and `h2` where it stands here, to clients that begin with it (prior knowledge). `h3` beside
    them, with TLS alone, is HTTP/3, on the datagram port of the same number."""
    http2: Http2Config = Http2Config()
    http3: Http3Config = Http3Config()
    proxy_protocol: tuple[Cidr, ...] = ()
    """Addresses whose PROXY protocol header (v1, v2) is demanded and believed. None by default."""

    @property
    def spoken(self) -> tuple[str, ...]:
        """The protocols, where none were named too."""
        return self.protocols or (("h1", "h2") if self.tls is not None else ("h1",))

    @model_validator(mode="after")
    def _http3_possible(self) -> ListenerConfig:
        if "h3" not in self.protocols:
            return self
        if self.tls is None or self.address.startswith("unix:"):
            raise ValueError("protocols: h3 needs tls, and an address that is no Unix socket")
        if self.protocols == ("h3",):
            raise ValueError("protocols: h3 needs h1 or h2 beside it, through which clients come to know of it")
        if self.tls.client_certificate != "off":
            raise ValueError(
                "protocols: h3 cannot ask for client certificates; leave it out, or client_certificate off"
            )
        if self.proxy_protocol:
            raise ValueError("protocols: h3 comes as datagrams, which bear no PROXY protocol header")
        return self


class LimitsConfig(Section):
    """What a client may use up. Sizes in bytes, times from the last byte seen unless said otherwise."""

    head_size: Size = Field(32_000, ge=1_000, le=1_000_000)
    """Largest request line and header fields together: 1KB to 1MB; more gets 431, a target that is most of it 414.
    Trailers and what else frames the chunks of a body have the same limit; more gets 400."""
    header_count: int = Field(128, ge=8, le=1_000)
    """Most header lines in a request, and most trailers: 8 to 1000; more gets 431."""
    body_size: Size = Field(100_000_000, ge=0, le=1_000_000_000_000)
    """Largest request body: 0 to 1TB; more gets 413."""
    connections: int = Field(20_000, ge=1, le=1_000_000)
    """Most client connections per worker: 1 to 1000000. At that number those that are idle make room, which have never
    sent a request first; where none are, more are closed at once."""
    connections_per_client: int = Field(1_000, ge=1, le=1_000_000)
    """Most connections of one peer address per worker: 1 to 1000000; more are closed at once."""
    handshakes: int = Field(1_000, ge=1, le=100_000)
    """Most connections per worker that are in their TLS handshake or owe a PROXY header: 1 to 100000; more are closed
    at once."""
    handshakes_per_client: int = Field(100, ge=1, le=100_000)
    """The same of one peer address: 1 to 100000. Peers whose PROXY header is believed are not counted here."""
    head_timeout: Duration = Field(10, ge=0.1, le=3600)
    """Time for a whole request head, from its first byte: 100ms to 1h; slower gets 408."""
    body_timeout: Duration = Field(30, ge=0.1, le=3600)
    """Longest wait for more of a request body: 100ms to 1h; slower gets 408."""
    body_rate: Size = Field(240, ge=0, le=1_000_000)
    """Fewest bytes a second of a request body, in each period of `body_timeout`: 0 (any) to 1MB; slower gets 408. Time
    in which the origin takes no more does not count."""
    idle_timeout: Duration = Field(75, ge=0.1, le=86400)
    """How long a kept-alive connection may wait for its next request: 100ms to 1d."""
    write_timeout: Duration = Field(60, ge=0.1, le=3600)
    """Longest wait for a client to take more of an answer: 100ms to 1h; then the connection is cut."""
    write_rate: Size = Field(240, ge=0, le=1_000_000)
    """Fewest bytes a second of an answer that a client takes, in each period of `write_timeout`: 0 (any) to 1MB; then
    the connection is cut."""


class DiskConfig(Section):
    """The disk tier, L2: one for all workers of a node, kept over restarts."""

    path: FolderPath
    """The folder it lies in, absolute; made if it is not there. No other node may use the same, nor a network file
    system."""
    size: Size = Field(10_000_000_000, ge=16_000_000, le=16_000_000_000_000)
    """The file's largest size: 16MB to 16TB. Three quarters of it are answers. Made smaller, it evicts; the file itself
    does not shrink."""
    inline: Size = Field(1_000_000, ge=0, le=64_000_000)
    """The largest body that is read at once, then kept in memory: 0 to 64MB; larger ones are read piece by piece."""


class ImproveConfig(Section):
    """Better copies of what is kept, made in the background: what was first answered with quickly is made smaller, the
    most asked for first, and replaced in all tiers."""

    share: Share = Field(0.1, ge=0.001, le=1)
    """How much of one core it may take in the long run, per worker, at the lowest priority: 0.1% to 100%."""
    hits: int = Field(2, ge=1, le=1_000_000)
    """How often an answer must have been asked for again before its better copy is made: 1 to 1000000."""
    candidates: int = Field(1_000, ge=1, le=10_000)
    """Most answers that may wait for their turn, per worker: 1 to 10000; past that, one asked for little is left."""
    size: Size = Field(1_000_000, ge=1_000, le=64_000_000)
    """The largest body, as it is kept, that is made smaller: 1KB to 64MB."""


class CacheConfig(Section):
    """The tiers. What is cached, and for how long, is the cache stage's to say."""

    memory: Size = Field(256_000_000, ge=0, le=1_000_000_000_000)
    """Memory for stored answers, per worker: 0 (keep nothing) to 1TB."""
    disk: Annotated[DiskConfig | None, Off] = None
    """The disk tier; `off` by default."""
    redis: Annotated[RedisConfig | None, Off] = None
    """The tier shared by nodes, and the way purges take between them; `off` by default."""
    improve: Annotated[ImproveConfig | None, Off] = ImproveConfig()
    """Better copies of what is kept in memory; `off` keeps what was first answered with."""
    pass_tags: bool = False
    """Whether Surrogate-Key and Cache-Tag go on to clients. A node that others have as their origin lets them through;
    what faces clients keeps them to itself."""


class MatchConfig(Section):
    """What a request must look like: its host, its path, its method and its fields, as far as they are given.

    Of a list one entry must hold. `path`, `path_exact` and `path_regex` are three ways to name paths: one of all the
    entries must hold. Nothing given matches everything.
    """

    host: Annotated[tuple[Host, ...], Many] = ()
    """Host names: `example.com`, or `*.example.com` for every name below it (not itself). Ports do not count."""
    path: Annotated[tuple[Path, ...], Many] = ()
    """Path prefixes, whole segments: `/v1` and `/v1/` match /v1 and /v1/x, never /v1x."""
    path_exact: Annotated[tuple[Path, ...], Many] = ()
    """Whole paths."""
    path_regex: Annotated[tuple[Regex, ...], Many] = ()
    """Regular expressions searched in the path; `^` and `$` tie them to its ends."""
    method: Annotated[tuple[Method, ...], Many] = ()
    """Methods; GET includes HEAD. A request with another one goes on to the next route that matches."""
    header: dict[FieldName, str] = Field({})
    """Header fields and their whole value; `"*"` for any value."""


class RouteConfig(Section):
    """Which requests go where, through which stages."""

    name: Name
    """Its name in logs and metrics: letters, digits, `_`, `-`, `.`; once per file."""
    match: MatchConfig = MatchConfig()
    pool: Name
    """The origin pool asked for what the cache has not."""
    country_pools: dict[Name, Annotated[tuple[Country, ...], Many]] = Field({}, max_length=250)
    """Pools asked in place of it for clients in these countries, as the `geo` stage finds them: `{eu: [DE, AT]}`.
    Answers are shared whichever pool gave them; where they differ, put `country: true` into the cache's `key`."""
    middleware: StageMap = Field({})
    """Settings over the global ones, key by key; `off` takes a stage out, `on` puts one in as it is."""


class AccessLogConfig(Section):
    """One line for every exchange."""

    format: Literal["json", "combined"] = "json"
    """`json`, or `combined` as Apache and nginx write it."""
    file: str = Field("stdout", min_length=1)
    """`stdout`, `stderr` or a file's path; the file is opened anew on SIGUSR1."""
    mask: Annotated[tuple[Annotated[str, Field(min_length=1)], ...], Many] = Field(SENSITIVE, max_length=1_000)
    """Query parameters whose values are written as `***`, in whatever case; in place of the default. `[]` for none."""


class LogConfig(Section):
    """What is written down."""

    level: Literal["debug", "info", "warning", "error"] = "info"
    """The least important messages written to stderr."""
    access: Annotated[AccessLogConfig | None, Off] = AccessLogConfig()
    """The access log; `off` for none."""


class DrainConfig(Section):
    """How a worker leaves service (SIGTERM, a new generation)."""

    grace: Duration = Field(30, ge=0, le=86400)
    """How long exchanges under way may take to end: 0s to 1d; then they are cut."""
    delay: Duration = Field(0, ge=0, le=3600)
    """How long to go on accepting after /readyz says no, so that balancers notice: 0s to 1h."""


class Config(Section):
    """One file of configuration."""

    _folder: FilePath | None = PrivateAttr(default=None)

    node: Name | None = None
    """This node's name in Via and CDN-Loop, told to origins: one each, where a node has another one as its origin.
    Drawn at every start if it is not given."""
    workers: Workers = 1
    """Worker processes: 1 to 256, or `auto` for one per core."""
    listeners: tuple[ListenerConfig, ...] = Field(min_length=1, max_length=64)
    """The addresses listened on: 1 to 64."""
    admin: Annotated[AdminConfig | None, Off] = AdminConfig()
    """The admin listener; `off` for none."""
    acme: Annotated[AcmeConfig | None, Off] = None
    """Where the certificates of `tls.acme` come from; `off` by default."""
    limits: LimitsConfig = LimitsConfig()
    cache: CacheConfig = CacheConfig()
    models: ModelsConfig = ModelsConfig()
    middleware: StageMap = Field({})
    """Settings of stages for all routes: `name: {…}`, `name: on`, `name: off`. A stage not named has its default."""
    pools: dict[Name, PoolConfig] = Field(min_length=1, max_length=1_000)
    """Origin pools by name: 1 to 1000."""
    routes: tuple[RouteConfig, ...] = Field(min_length=1, max_length=10_000)
    """1 to 10000; the most specific match wins, order decides only between equals."""
    log: LogConfig = LogConfig()
    drain: DrainConfig = DrainConfig()

    @property
    def folder(self) -> FilePath | None:
        """Where relative paths in stages' settings start; None for a configuration that came from no file."""
        return self._folder

    @property
    def worker_count(self) -> int:
        """How many workers that makes here."""
        return len(os.sched_getaffinity(0)) if self.workers == "auto" else self.workers

    def model_post_init(self, context: Any) -> None:
        self._folder = (context or {}).get("folder")
