"""The section of origin pools: endpoints, how they are chosen, tried, checked and spoken to."""

from __future__ import annotations

from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BeforeValidator, Field, ValidationInfo, model_validator

from edgeproxy.config.connections import OriginTlsConfig, RangesConfig, ResolverConfig, SocketConfig
from edgeproxy.config.phrases import nearest
from edgeproxy.config.regions import Prefer, RegionConfig, check
from edgeproxy.config.section import Section
from edgeproxy.config.units import Duration, EndpointUrl, Share, parse_endpoint
from edgeproxy.config.values import File, HostToSend, Many, Name, Off, Path
from edgeproxy.limits.settings import KeyExpr

MOST_ENDPOINTS = 1_000  # of a pool


def _endpoint(value: Any) -> Any:
    return {"url": value} if isinstance(value, str) else value


class EndpointConfig(Section):
    """One address of a pool."""

    url: EndpointUrl
    """`http://host[:port]`, `https://host[:port]` or `unix:/path`; `srv+http://_http._tcp.site.example` and `srv+https://…`
    for hosts, ports, priorities and weights from DNS (SRV, RFC 2782), checked by the certificate of `site.example`."""
    weight: int = Field(1, ge=1, le=1_000)
    """Its part of the requests relative to the others: 1 to 1000."""
    priority: int = Field(0, ge=0, le=15)
    """0 is asked first, 15 last: endpoints of the next number join when less than 71 % (1/1.4) of those before are fit,
    and take as much as is missing."""
    region: Name | None = None
    """Where it is: one of the pool's `regions`. One without comes after all that have one."""

    drain: bool = False
    """Whether it gets no new requests, while those it has go on to their end. `edgeproxy drain` does the same."""

    @property
    def scheme(self) -> str:
        return parse_endpoint(self.url).scheme


def _some(value: Any, info: ValidationInfo) -> Any:
    if not value and info.data.get("endpoints_file") is None:
        raise ValueError("must not be empty, unless there is an endpoints_file")
    return value


Endpoints = tuple[Annotated[EndpointConfig, BeforeValidator(_endpoint)], ...]


class TimeoutsConfig(Section):
    """How long an origin may take."""

    connect: Duration = Field(2, ge=0.01, le=300)
    """Until a connection stands, TLS included: 10ms to 5m."""
    first_byte: Duration = Field(30, ge=0.01, le=3600)
    """From the request's end to the answer's head: 10ms to 1h."""
    between_bytes: Duration = Field(30, ge=0.01, le=3600)
    """Longest silence within an answer's body: 10ms to 1h."""
    event_stream: Duration = Field(3600, ge=0.01, le=86400)
    """Longest silence in place of `between_bytes` where the body is `text/event-stream`, or gRPC's in a call without a
    deadline of its own; both may also outlast `total`: 10ms to 1d. Nothing is sent to keep one alive; what lies between
    may be less patient (nginx gives up after a minute by default), so that origins do well to send a comment every 15
    seconds (HTML, "server-sent events")."""
    total: Duration = Field(600, ge=0.01, le=86400)
    """The whole exchange with the origin, all tries together: 10ms to 1d. An upgraded connection has no such end."""


class KeepaliveConfig(Section):
    """Connections kept open to an origin between requests."""

    connections: int = Field(64, ge=0, le=10_000)
    """Most idle connections per endpoint and worker: 0 (none) to 10000."""
    idle: Duration = Field(60, ge=0.1, le=3600)
    """How long one may be idle: 100ms to 1h; keep it below the origin's own limit."""
    warm: int = Field(0, ge=0, le=100)
    """Connections per endpoint and worker that are opened before they are needed, and again when they were used: 0 to
    100, and not more than `connections`. Endpoints that fail get none."""


class HealthConfig(Section):
    """Active health checks: every worker asks every endpoint. A dead one gets no more requests after `fall` checks."""

    type: Literal["http", "tcp", "grpc"] = "http"
    """`http`: a GET gets one of `status`, and `body` if that is set. `tcp`: a connection stands, TLS included, and over
    `protocol: http2` its other end speaks that. `grpc`: `grpc.health.v1.Health/Check` says SERVING of `service`; it
    needs `protocol: http2`."""
    service: str = Field("", max_length=200)
    """The service asked about by `grpc`: up to 200 characters; the server as a whole by default."""
    path: Path = "/"
    """The path asked for."""
    host: str | None = None
    """The Host field sent; the endpoint's own name by default."""
    interval: Duration = Field(5, ge=0.1, le=3600)
    """Time between checks: 100ms to 1h. Each is up to a fifth sooner or later, so that they do not come at once."""
    timeout: Duration = Field(2, ge=0.01, le=300)
    """Time for a whole check: 10ms to 5m."""
    rise: int = Field(2, ge=1, le=100)
    """Checks passed in a row before an endpoint is used again: 1 to 100."""
    fall: int = Field(3, ge=1, le=100)
    """Checks failed in a row before an endpoint is left out: 1 to 100."""
    status: Annotated[tuple[Annotated[int, Field(ge=100, le=599)], ...], Many] = (200,)
    """The statuses that pass: one or a list, 100 to 599 each."""
    body: str | None = Field(None, min_length=1, max_length=1_000)
    """What the answer's body must hold within its first 64 KiB: up to 1000 characters; not looked at by default."""


class SlowConfig(Section):
    """When an endpoint is too slow beside the others of its pool, or of its region where it has one."""

    factor: float = Field(3, ge=1.5, le=100)
    """How many times the median of the others its answers take: 1.5 to 100."""
    lasting: Duration = Field(10, ge=1, le=3600)
    """For how long it must be that slow: 1s to 1h."""


class OutlierConfig(Section):
    """Passive health checks: endpoints that fail real requests are left out for a while.

    Afterwards an endpoint is on trial: it gets one request at a time, until one of them succeeds; the next failure
    ejects it again. One that cannot be connected to is left out at once, and gets no request until a connection stands,
    which is tried every 100ms at first and every 5s at last.
    """

    failures: int = Field(5, ge=1, le=1_000)
    """Failures in a row that eject an endpoint: 1 to 1000. No answer is one, and the answers that `statuses` names."""
    statuses: Annotated[tuple[Annotated[int, Field(ge=500, le=599)], ...], Many] = (502, 503, 504)
    """The statuses that count as failures: one or a list, 500 to 599 each."""
    error_share: Share = Field(0.5, ge=0.01, le=1)
    """The share of failures among an endpoint's requests of the last `window` that ejects it, too: 1% to 100%."""
    requests: int = Field(20, ge=1, le=1_000_000)
    """Requests within `window` below which a share means nothing: 1 to 1000000."""
    window: Duration = Field(10, ge=1, le=600)
    """Over how long the share is taken: 1s to 10m."""
    slow: Annotated[SlowConfig | None, Off] = None
    """Ejects endpoints whose answers take far longer than the others'; off by default, as endpoints far away do. `on`
    takes 3 times the median for 10s. At least 3 endpoints must have answered."""
    retry_after: Duration = Field(30, ge=0, le=3600)
    """How long at most an endpoint is left alone that answers 503 twice in a row with Retry-After: 0s (that field is
    not heeded) to 1h."""
    eject_for: Duration = Field(10, ge=0.1, le=3600)
    """How long the first ejection lasts, each further one longer by as much: 100ms to 1h."""
    max_ejected: Share = Field(0.5, ge=0, le=1)
    """The most of a pool that may be ejected at once: 0% to 100%."""


Cause = Literal["connect", "lost", "timeout", 500, 502, 503, 504]


class RetryConfig(Section):
    """Another try at another endpoint, for idempotent requests that failed before an answer began. What could not be
    sent at all, whatever its method, goes to another endpoint at once and costs nothing of the budget."""

    tries: int = Field(2, ge=1, le=10)
    """How often a request is sent in all, the first time included: 1 (none repeated) to 10."""
    budget: Share = Field(0.2, ge=0, le=1)
    """Retries and hedges as a share of the pool's requests of the last 10s: 0% to 100%. It keeps them from multiplying
    an outage. Three more are always allowed, unless it is 0%."""
    causes: Annotated[tuple[Cause, ...], Many] = ("connect", "lost", "timeout", 502, 503, 504)
    """What is tried again, one or a list: `connect` (no connection), `lost` (it broke before an answer, or what came is
    none), `timeout` (no answer in time), and the statuses 500, 502, 503, 504, if another endpoint may be asked."""
    try_timeout: Duration | None = Field(None, ge=0.01, le=3600)
    """How long a request that may be tried again waits for the head of its answer before it is: 10ms to 1h. Its last
    try has `timeouts.first_byte`, like every try by default."""


class HedgeConfig(Section):
    """A second try beside the first, at another endpoint, once the first is late; the answer that begins first is
    taken, and the other try given up. Idempotent requests only, without a body that streams, inside `retry.budget`."""

    after: Annotated[Duration, Field(ge=0.001, le=3600)] | Literal["p90", "p95", "p99"] = "p95"
    """How late: 1ms to 1h, or what 90, 95 or 99% of requests of the same kind take less than."""


class QueueConfig(Section):
    """Where requests wait that no endpoint has a place for. Retries do not wait; clients whose score says that they are
    probably programs (60 and more) wait behind the others. Who finds it full, or waits too long, gets 503 with
    Retry-After."""

    size: int = Field(128, ge=1, le=100_000)
    """Most requests waiting, per pool and worker: 1 to 100000."""
    wait: Duration = Field(1, ge=0.01, le=60)
    """How long each waits at most: 10ms to 1m."""


class LimitsConfig(Section):
    """How many requests an endpoint has in hand at once."""

    max_requests: int = Field(1024, ge=1, le=100_000)
    """The most per endpoint and worker: 1 to 100000."""
    adaptive: bool = False
    """Whether to find the limit, between 4 and `max_requests`: it grows while answers take what they usually take, and
    shrinks when they take longer (the gradient of Netflix's concurrency-limits)."""
    queue: Annotated[QueueConfig | None, Off] = QueueConfig()
    """Where requests wait for a place; `off`: they get 503 at once."""


class HashConfig(Section):
    """The same endpoint for the same key, on every node: consistent hashing with bounded loads. When an endpoint
    leaves, only its own keys move."""

    key: KeyExpr = "client.ip"
    """What requests for the same endpoint have in common: `client.ip`, `client.net` (an IPv4 address, an IPv6 /64),
    `host`, `path`, `identity`, `header:NAME`, `cookie:NAME`, `query:NAME`, `claim:NAME`, and whatever else limits can
    count by, or several joined by `+`: `host+path`. Requests that lack it go by `class_ewma`."""
    load: float = Field(1.25, ge=1.05, le=100)
    """How many times its part of what the pool has in hand an endpoint may have, 1.05 to 100, before its keys go to the
    next one: less keeps the load even, more keeps keys at home."""


class LearnedConfig(Section):
    """A model that says of each endpoint how long it is going to take (docs/origins.md). Whatever `mode` says,
    `class_ewma` decides while the model is not there, fails, or has been further off lately than `class_ewma` was."""

    model: Name = "origin-latency"
    """The model asked, from the section `models`. `edgeproxy models fit` makes it this node's own from its access log,
    which in JSON holds what is learnt from."""
    mode: Literal["shadow", "on"] = "shadow"
    """`shadow`: `class_ewma` decides, and metrics tell how far off both are and how often the model would decide
    otherwise. `on`: the model decides."""
    exploration: Share = Field(0.02, ge=0, le=0.2)
    """The share of requests that go to an endpoint drawn, while the model decides: 0% to 20%. A model fitted to nothing
    but its own choices never learns what it was wrong to avoid."""


def _hashed(value: Any) -> Any:
    return {"key": value} if isinstance(value, str) else value


class PoolConfig(Section):
    """Endpoints that serve the same content."""

    endpoints_file: File | None = None
    """File with a list of endpoints as they stand in `endpoints`, YAML or JSON, beside those there. It is read again
    when it changes, without a restart and without cutting what runs; one that cannot be used changes nothing."""
    endpoints: Annotated[Endpoints, AfterValidator(_some)] = Field(
        default=(), max_length=MOST_ENDPOINTS, validate_default=True
    )
    """1 to 1000 of them: an address, or a map of `url`, `weight` and more. None is needed beside an `endpoints_file`. A
    pool uses the first 1000 addresses that they all lead to."""
    balance: Literal["class_ewma", "hash", "learned", "least_request", "peak_ewma", "round_robin"] = "class_ewma"
    """Which endpoint takes a request. All heed weights. `class_ewma`: the one expected to answer this kind of request
    first, by what it took for such requests lately and by what it has in hand; kinds are found, not configured. `hash`:
    always the same one for the same key, see `hash`. `learned`: the one that a model expects to answer first, see
    `learned`. `peak_ewma`: of two drawn at random the one that is faster and
    less busy, where a slow answer is held against it for 10s. `least_request`: the less busy of two. `round_robin`: in
    turns. docs/balance.md compares them."""
    hash: Annotated[HashConfig, BeforeValidator(_hashed)] = HashConfig()
    """What `balance: hash` goes by: a map of `key` and `load`, or the key alone."""
    learned: LearnedConfig = LearnedConfig()
    """What `balance: learned` asks, and whether that decides."""
    protocol: Literal["http1", "http2"] = "http1"
    """What endpoints speak: `http1` or `http2`, which gRPC needs (docs/grpc.md). Over `https` it must be agreed on
    (ALPN); over `http` endpoints must know it (h2c). Up to 100 requests share one connection, and WebSockets
    pass where the endpoint takes extended CONNECT (RFC 8441)."""
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
    hedge: Annotated[HedgeConfig | None, Off] = None
    """A second try beside a late one; off by default. `on` waits for what 95% of such requests take."""
    limits: LimitsConfig = LimitsConfig()
    slow_start: Annotated[Duration, BeforeValidator(lambda value: 0 if value is False else value)] = Field(
        10, ge=0, le=3600
    )
    """How long an endpoint that comes back has only a part of its weight, which grows from 10% to all: 0s (`off`) to
    1h."""
    resolve_every: Duration = Field(30, ge=1, le=86400)
    """After how long at most host names are looked up anew, sooner if their TTL ends: 1s to 1d. A name that vanishes
    keeps its last addresses."""
    resolver: ResolverConfig = ResolverConfig()
    socket: SocketConfig = SocketConfig()
    tls: OriginTlsConfig = OriginTlsConfig()
    ranges: Annotated[RangesConfig | None, Off] = None
    """Large downloads in parts from several endpoints; off by default. `on` is `{from: 64MB, parts: 4, size: 8MB}`. It
    needs origins that serve the same bytes under the same strong validator; others are served as ever."""
    fallback: Name | None = None
    """The pool to ask when no endpoint of this one can answer."""
    regions: dict[Name, RegionConfig] = Field({}, max_length=64)
    """Where endpoints are, by names that they give as their `region`: `{eu: {at: [50.1, 8.7]}, us: {at: [39, -77.5]}}`.
    """
    prefer: Prefer = None
    """Which region comes first for a client: `distance`, `latency`, `cost`, or a map with `by` and more. By default all
    regions are one. The client's place is what the `geo` stage finds; one that is not known takes regions as they stand
    here."""

    @model_validator(mode="after")
    def _spares_fit(self) -> Self:
        if self.keepalive.warm > self.keepalive.connections:
            raise ValueError("keepalive.warm: more than keepalive.connections")
        return self

    @model_validator(mode="after")
    def _grpc_checks_fit(self) -> Self:
        if self.health is not None and self.health.type == "grpc" and self.protocol != "http2":
            raise ValueError("health.type: grpc needs protocol: http2")
        return self

    @model_validator(mode="after")
    def _regions_agree(self) -> Self:
        for index, endpoint in enumerate(self.endpoints):
            if endpoint.region is not None and endpoint.region not in self.regions:
                known = nearest(endpoint.region, self.regions)
                raise ValueError(f"endpoints[{index}].region: there is no region {endpoint.region!r}{known}")
        check(self.regions, self.prefer, checked=self.health is not None)
        return self
