"""The configuration's shape. Each field's docstring is the reference: what it does, its unit, its range.

Durations are seconds, sizes bytes and shares fractions once loaded, whatever unit they were written in.
"""

from __future__ import annotations

import os
from pathlib import Path as FilePath
from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field, PrivateAttr, model_validator

from edgeproxy.config.admin import AdminConfig
from edgeproxy.config.models import ModelsConfig
from edgeproxy.config.redis import RedisConfig
from edgeproxy.config.section import Section
from edgeproxy.config.units import Address, Cidr, Duration, EndpointUrl, Share, Size, parse_endpoint
from edgeproxy.config.values import (
    Country,
    FieldName,
    File,
    FolderPath,
    Host,
    HostToSend,
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


def _endpoint(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


class CertificateConfig(Section):
    """One certificate and its key."""

    certificate: File
    """File with the certificate chain, PEM, the server's own first. A relative path starts at the file's folder."""
    key: File
    """File with the private key, PEM, without a pass phrase."""


class TlsConfig(Section):
    """TLS on a listener. Certificates are chosen by the name asked for (SNI), and re-read when they change."""

    certificates: tuple[CertificateConfig, ...] = Field(min_length=1)
    """At least one; the first is shown to clients that name no host or an unknown one."""
    min_version: Literal["1.2", "1.3"] = "1.2"
    """The oldest TLS version spoken: 1.2 or 1.3."""
    client_certificate: Literal["off", "request", "require"] = "off"
    """Whether clients show a certificate: `off`, `request` (may), `require` (must). Needs `client_ca`."""
    client_ca: File | None = None
    """File with the authorities that client certificates are checked against, PEM."""
    fingerprint: bool = False
    """Take the JA4 of each hello, for `bot_check` and `rate_limit`; costs every new connection a look at it."""

    @model_validator(mode="after")
    def _authority_known(self) -> TlsConfig:
        if self.client_certificate != "off" and self.client_ca is None:
            raise ValueError(f"client_certificate: {self.client_certificate} needs client_ca, the file of authorities")
        return self


class ListenerConfig(Section):
    """One address that is listened on."""

    address: Address
    """`127.0.0.1:8080`, `[::]:8443`, `:8080` (all IPv4 addresses) or `unix:/run/edge.sock`."""
    tls: Annotated[TlsConfig | None, Off] = None
    """TLS settings; without them the listener speaks plain HTTP."""
    proxy_protocol: tuple[Cidr, ...] = ()
    """Addresses whose PROXY protocol header (v1, v2) is demanded and believed. None by default."""


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


class EndpointConfig(Section):
    """One address of a pool."""

    url: EndpointUrl
    """`http://host[:port]`, `https://host[:port]` or `unix:/path`."""
    weight: int = Field(1, ge=1, le=1_000)
    """Its part of the requests relative to the others: 1 to 1000."""

    @property
    def scheme(self) -> str:
        return parse_endpoint(self.url).scheme


class TimeoutsConfig(Section):
    """How long an origin may take."""

    connect: Duration = Field(2, ge=0.01, le=300)
    """Until a connection stands, TLS included: 10ms to 5m."""
    first_byte: Duration = Field(30, ge=0.01, le=3600)
    """From the request's end to the answer's head: 10ms to 1h."""
    between_bytes: Duration = Field(30, ge=0.01, le=3600)
    """Longest silence within an answer's body: 10ms to 1h."""
    total: Duration = Field(600, ge=0.01, le=86400)
    """The whole exchange with the origin, all tries together: 10ms to 1d. An upgraded connection has no such end."""


class KeepaliveConfig(Section):
    """Connections kept open to an origin between requests."""

    connections: int = Field(64, ge=0, le=10_000)
    """Most idle connections per endpoint and worker: 0 (none) to 10000."""
    idle: Duration = Field(60, ge=0.1, le=3600)
    """How long one may be idle: 100ms to 1h; keep it below the origin's own limit."""


class HealthConfig(Section):
    """Active health checks: a GET to every endpoint from every worker."""

    path: Path = "/"
    """The path asked for."""
    host: str | None = None
    """The Host field sent; the endpoint's own name by default."""
    interval: Duration = Field(5, ge=0.1, le=3600)
    """Time between checks: 100ms to 1h."""
    timeout: Duration = Field(2, ge=0.01, le=300)
    """Time for a whole check: 10ms to 5m."""
    rise: int = Field(2, ge=1, le=100)
    """Checks passed in a row before an endpoint is used again: 1 to 100."""
    fall: int = Field(3, ge=1, le=100)
    """Checks failed in a row before an endpoint is left out: 1 to 100."""
    status: Annotated[tuple[Annotated[int, Field(ge=100, le=599)], ...], Many] = (200,)
    """The statuses that pass: one or a list, 100 to 599 each."""


class OutlierConfig(Section):
    """Passive health checks: endpoints that fail real requests are left out for a while."""

    failures: int = Field(5, ge=1, le=1_000)
    """Failures in a row (no connection, no answer, 502, 503, 504) that eject an endpoint: 1 to 1000."""
    eject_for: Duration = Field(10, ge=0.1, le=3600)
    """How long the first ejection lasts, each further one longer by as much: 100ms to 1h."""
    max_ejected: Share = Field(0.5, ge=0, le=1)
    """The most of a pool that may be ejected at once: 0% to 100%."""


class RetryConfig(Section):
    """Another try at another endpoint, for idempotent requests that failed before an answer began."""

    tries: int = Field(2, ge=1, le=10)
    """Tries in all, the first included: 1 (none repeated) to 10."""
    budget: Share = Field(0.2, ge=0, le=1)
    """Retries as a share of the pool's recent requests: 0% to 100%. It keeps retries from multiplying an outage."""


class OriginTlsConfig(Section):
    """TLS towards https endpoints."""

    verify: bool = True
    """Whether the origin's certificate must be valid and carry its name."""
    ca: File | None = None
    """File with the authorities to trust instead of the system's, PEM."""
    server_name: str | None = None
    """The name asked for (SNI) and checked; the endpoint's host by default."""


class PoolConfig(Section):
    """Endpoints that serve the same content."""

    endpoints: tuple[Annotated[EndpointConfig, BeforeValidator(_endpoint)], ...] = Field(min_length=1, max_length=1_000)
    """1 to 1000 of them: an address, or a map of `url` and `weight`."""
    balance: Literal["least_request", "round_robin"] = "least_request"
    """`least_request` takes the less busy of two drawn at random; `round_robin` takes turns. Both heed weights."""
    host: HostToSend = "preserve"
    """The Host field origins get: `preserve` the client's, `endpoint` for the endpoint's own, or a literal name."""
    timeouts: TimeoutsConfig = TimeoutsConfig()
    keepalive: KeepaliveConfig = KeepaliveConfig()
    health: Annotated[HealthConfig | None, Off] = None
    """Active health checks; none by default. `on` asks for `/` every 5s."""
    outlier: Annotated[OutlierConfig | None, Off] = OutlierConfig()
    """Passive health checks; on by default."""
    retry: Annotated[RetryConfig, BeforeValidator(lambda value: {"tries": 1} if value is False else value)] = (
        RetryConfig()
    )
    """Retries; `off` is the same as `tries: 1`."""
    resolve_every: Duration = Field(30, ge=1, le=86400)
    """How often host names are looked up anew: 1s to 1d."""
    tls: OriginTlsConfig = OriginTlsConfig()
    fallback: Name | None = None
    """The pool to ask when no endpoint of this one can answer."""


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
