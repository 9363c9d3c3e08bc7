"""A configuration tried without serving it: what ``check`` and ``explain`` do."""

from __future__ import annotations

import ssl
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from edgeproxy.cache.tiers import Tiers
from edgeproxy.clock import Clock
from edgeproxy.config.compile import compile_config
from edgeproxy.config.errors import ConfigErrors, Loc, located
from edgeproxy.config.load import load_text, placed, read_file
from edgeproxy.config.schema import Config
from edgeproxy.config.snapshot import Snapshot
from edgeproxy.errors import EdgeError
from edgeproxy.http.headers import from_pairs
from edgeproxy.http.message import Request
from edgeproxy.http.target import parse_authority, parse_target
from edgeproxy.listener.tls import Certificates
from edgeproxy.observe.metrics import Metrics
from edgeproxy.pipeline.exchange import Exchange, Peer
from edgeproxy.pipeline.middleware import Services
from edgeproxy.routing.geo import ByCountry

if TYPE_CHECKING:
    import aiohttp


def load_and_build(path: str | Path) -> tuple[Config, Snapshot]:
    """A file's configuration and snapshot, complete as for serving, nothing started. Raises ConfigErrors."""
    text = read_file(path)
    config = load_text(text, str(path))
    clock, metrics = Clock(), Metrics()
    built: list[Snapshot] = []
    services = Services(
        clock,
        metrics,
        Tiers(config.cache.memory, clock, metrics),
        _no_calls,
        route=lambda request: built[0].route(request) if built else None,
    )
    try:
        _try_certificates(config)
        built.append(compile_config(config, services))
        return config, built[0]
    except ConfigErrors as errors:
        raise placed(errors, text, str(path)) from None


def make_request(url: str, method: str, headers: Sequence[str]) -> Request:
    """The request a client would send for a URL. Raises ValueError."""
    parts = urlsplit(url if "://" in url else f"http://{url}")
    if parts.scheme not in {"http", "https"} or not parts.netloc:
        raise ValueError(f"{url!r} is not a URL like https://www.example.com/path")
    fields = []
    for header in headers:
        name, colon, value = header.partition(":")
        if not colon or not name.strip():
            raise ValueError(f"{header!r} is not a header field; write it like 'name: value'")
        fields.append((name.strip().lower().encode(), value.strip().encode()))
    scheme = parts.scheme.encode()
    try:
        authority = parse_authority(parts.netloc.encode(), scheme)
        target, path, query = parse_target(((parts.path or "/") + (f"?{parts.query}" if parts.query else "")).encode())
    except EdgeError as error:
        raise ValueError(f"{url!r}: {error.detail}") from None
    return Request(
        method.upper().encode(),
        target,
        from_pairs([(b"host", authority.authority), *fields]),
        authority=authority.authority,
        host=authority.host,
        scheme=scheme,
        path=path,
        query=query,
    )


def explain_request(snapshot: Snapshot, request: Request) -> Iterator[str]:
    """Lines that say where a request goes: its route and why, the stages, the pool and its endpoints."""
    route = snapshot.route(request)
    considered = snapshot.router.explain(request)
    if route is snapshot.unrouted:
        yield "route     none: the answer is 404"
    for each in considered:
        if each.won:
            yield f"route     {each.route.name}: {each.why}"
    for each in considered:
        if not each.won:
            yield f"  not     {each.route.name}: {each.why}"
    exchange = Exchange(request, Peer("127.0.0.1", 0, "", "", None), 0.0)
    exchange.route = route
    for number, stage in enumerate(route.chain.stages, 1):
        explain = getattr(stage, "explain", None)  # a stage may have something to say
        said = f": {explain(exchange)}" if explain is not None else ""
        observed = " (observe)" if stage.config.mode == "observe" else ""
        yield f"{'stages' if number == 1 else '':<10}{number}. {stage.name}{observed}{said}"
    yield from _pools(snapshot.config, route.origin.name, "pool")
    if isinstance(route.origin, ByCountry):
        for name in sorted({pool.name for pool in route.origin.countries.values()}):
            countries = sorted(code for code, pool in route.origin.countries.items() if pool.name == name)
            yield f"  from    {', '.join(countries)}:"
            yield from _pools(snapshot.config, name, "  pool")


def _pools(config: Config, first: str, label: str) -> Iterator[str]:
    name: str | None = first
    while name is not None and name in config.pools:
        pool = config.pools[name]
        yield f"{label:<10}{name}: {pool.balance} over {len(pool.endpoints)}"
        for endpoint in pool.endpoints:
            yield f"          - {endpoint.url}" + (f" (weight {endpoint.weight})" if endpoint.weight != 1 else "")
        name, label = pool.fallback, "  then"


def _try_certificates(config: Config) -> None:
    errors = []
    for index, listener in enumerate(config.listeners):
        if listener.tls is None:
            continue
        for number, pair in enumerate(listener.tls.certificates):
            try:
                Certificates(listener.tls.model_copy(update={"certificates": (pair,)}))
            except (OSError, ssl.SSLError, ValueError) as error:
                place: Loc = ("listeners", index, "tls", "certificates", number)
                message = f"cannot be used: {error} ({pair.certificate}, {pair.key})"
                errors.append(located(place, message))
    if errors:
        raise ConfigErrors(errors)


def _no_calls() -> aiohttp.ClientSession:
    _refuse()


def _refuse() -> NoReturn:
    raise RuntimeError("nothing is called while a configuration is tried")
