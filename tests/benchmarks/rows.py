"""What is measured: one table."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from tests.benchmarks.load import HandshakeLoad, Http2Load, Load
from tests.benchmarks.measure import Sample
from tests.benchmarks.servers import (
    Edgeproxy,
    EdgeproxyBetter,
    EdgeproxyDisk,
    EdgeproxyPictures,
    EdgeproxyPlain,
    EdgeproxyTls,
    Nginx,
    NginxTls,
    Server,
    Varnish,
)
from tests.benchmarks.stats import Target


@dataclass(frozen=True, slots=True)
class Peer:
    """Who ours is held against. ``parts``: whose CPU counts (empty: all its processes)."""

    label: str
    server: type[Server]
    workers: int = 1
    parts: tuple[str, ...] = ()


def cpu_per_request(sample: Sample, parts: tuple[str, ...]) -> float:
    """CPU microseconds a request."""
    return sample.cpu(parts) / sample.requests * 1e6


def cpu_per_mib(sample: Sample, parts: tuple[str, ...]) -> float:
    """CPU microseconds a MiB of body passed on."""
    return sample.cpu(parts) / (sample.bytes / (1 << 20)) * 1e6


def capacity(sample: Sample, parts: tuple[str, ...]) -> float:
    """Requests a second that the workers would serve with a core for each."""
    return sample.workers * sample.requests / sample.cpu(parts)


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the report: the same load on ours and on the peer, in turns.

    ``prefix`` is the origin's location asked, ``size`` the body there in bytes. ``cached``: every request must be a hit
    (the origin sees none), otherwise every one a miss (the origin sees all). ``twin``: the peer is asked there instead,
    for a body of as many bytes as ours has kept in the end, which the origin has in that form. ``streams``: requests at
    once on each connection.
    """

    key: str
    name: str
    peer: Peer
    prefix: str
    size: int
    target: Target
    unit: str = "CPU µs a request"
    value: Callable[[Sample, tuple[str, ...]], float] = cpu_per_request
    cached: bool = True
    conditional: bool = False
    ours: type[Server] = Edgeproxy
    urls: int = 1000
    connections: int = 64
    workers: int = 1
    twin: str = ""
    load: type[Load] = Load
    streams: int = 1


KIB = 1024
NGINX = Peer("nginx proxy_cache", Nginx)
NGINX_DISK = Peer("nginx proxy_cache, on the same disk", Nginx)
NGINX_PASS = Peer("nginx proxy_pass", Nginx)
NGINX_HTTP2 = Peer("nginx, HTTP/2 + TLS", NginxTls)
VARNISH = Peer("Varnish, varnishncsa counted", Varnish)
VARNISHD = Peer("Varnish, varnishncsa not counted", Varnish, parts=("varnishd",))
ONE_WORKER = Peer("edgeproxy, one worker", Edgeproxy)
AS_IT_CAME = Peer("edgeproxy, hits on as many bytes kept as they came", Edgeproxy)
PLAIN = Peer("edgeproxy, plain hits on as many bytes beside it", EdgeproxyPlain)

ROWS: tuple[Row, ...] = (
    Row("hit-1k-nginx", "L1 hit, 1 KiB", NGINX, "/1k/", KIB, Target(1.0, 0.8)),
    Row("hit-16k-nginx", "L1 hit, 16 KiB", NGINX, "/16k/", 16 * KIB, Target(1.0, 0.8)),
    Row("hit-1k-varnish", "L1 hit, 1 KiB", VARNISH, "/1k/", KIB, Target(0.7, 0.5)),
    Row("hit-16k-varnish", "L1 hit, 16 KiB", VARNISH, "/16k/", 16 * KIB, Target(0.7, 0.5)),
    Row("hit-1k-varnishd", "L1 hit, 1 KiB", VARNISHD, "/1k/", KIB, Target(0.7, 0.5)),
    Row("disk-16k", "L2 hit (disk), 16 KiB", NGINX_DISK, "/16k/", 16 * KIB, Target(1.5, 1.0), ours=EdgeproxyDisk),
    Row("not-modified", "304 for If-None-Match", NGINX, "/1k/", 0, Target(1.0, 0.8), conditional=True),
    Row("pass", "pass-through (uncacheable) GET, 1 KiB", NGINX_PASS, "/pass/", KIB, Target(2.0, 1.3), cached=False),
    Row(
        "stream",
        "100 MB streamed through",
        NGINX_PASS,
        "/stream/",
        100_000_000,
        Target(1.5, 1.0),
        unit="CPU µs a MiB",
        value=cpu_per_mib,
        cached=False,
        urls=1,
        connections=2,
    ),
    Row(
        "http2-1k",
        "HTTP/2 + TLS, L1 hit, 1 KiB",
        NGINX_HTTP2,
        "/1k/",
        KIB,
        Target(1.3, 1.0),
        ours=EdgeproxyTls,
        load=Http2Load,
        streams=8,
    ),
    Row(
        "http2-10m",
        "HTTP/2 + TLS, L1 hit, 10 MB",
        NGINX_HTTP2,
        "/10m/",
        10_000_000,
        Target(1.0, 0.8),
        unit="CPU µs a MiB",
        value=cpu_per_mib,
        ours=EdgeproxyTls,
        load=Http2Load,
        urls=4,
        connections=16,
    ),
    Row(
        "handshakes",
        "new TLS connections, a hit on each, 1 KiB",
        NGINX_HTTP2,
        "/1k/",
        KIB,
        Target(1.5, 1.0),
        unit="CPU µs a connection",
        ours=EdgeproxyTls,
        load=HandshakeLoad,
        urls=1,
    ),
    Row(
        "two-workers",
        "two workers over one, L1 hit, 1 KiB",
        ONE_WORKER,
        "/1k/",
        KIB,
        Target(1.7, 1.9, higher_is_better=True),
        unit="requests/s of capacity",
        value=capacity,
        workers=2,
    ),
    Row(
        "compressed",
        "L1 hit on a page compressed here",
        AS_IT_CAME,
        "/page/",
        0,
        Target(1.05, 1.0),
        ours=EdgeproxyBetter,
        urls=100,
        twin="/twin/",
    ),
    Row(
        "picture",
        "L1 hit on a picture made into AVIF here",
        PLAIN,
        "/photo/",
        0,
        Target(1.05, 1.0),
        ours=EdgeproxyPictures,
        urls=20,
        twin="/twin/",
    ),
)
