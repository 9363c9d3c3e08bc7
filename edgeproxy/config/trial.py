"""A configuration tried without serving it: what ``check`` and ``explain`` do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NoReturn
from urllib.parse import urlsplit

from edgeproxy.cache.tiers import Tiers
from edgeproxy.certificates.leaf import read
from edgeproxy.clock import Clock
from edgeproxy.config.compile import compile_config
from edgeproxy.config.errors import ConfigErrors, Loc, located
from edgeproxy.config.load import load_text, placed, read_file
from edgeproxy.config.pools import EndpointConfig
from edgeproxy.config.regions import PreferConfig, RegionConfig
from edgeproxy.config.schema import Config
from edgeproxy.config.snapshot import Snapshot
from edgeproxy.errors import EdgeError
from edgeproxy.http.headers import from_pairs
from edgeproxy.http.message import Request
from edgeproxy.http.target import parse_authority, parse_target
from edgeproxy.observe.metrics import Metrics
from edgeproxy.origin.regions import Regions
from edgeproxy.pipeline.exchange import Exchange, Peer, Place
from edgeproxy.pipeline.middleware import Services
from edgeproxy.routing.geo import ByCountry
from edgeproxy.routing.pools import Pools
from edgeproxy.tls.context import load, new_context

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


def explain_request(snapshot: Snapshot, request: Request, country: str = "") -> Iterator[str]:
    """Lines that say where a request goes: its route and why, the stages, the pool and its endpoints. ``country`` is
    where its client is (ISO 3166-1), "" if that is not known."""
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
    exchange.place = Place(country)
    for number, stage in enumerate(route.chain.stages, 1):
        explain = getattr(stage, "explain", None)  # a stage may have something to say
        said = f": {explain(exchange)}" if explain is not None else ""
        observed = " (observe)" if stage.config.mode == "observe" else ""
        yield f"{'stages' if number == 1 else '':<10}{number}. {stage.name}{observed}{said}"
    origin = exchange.route.origin  # a stage may have taken another one
    if isinstance(origin, Pools):
        origin = origin.own
    yield from _pools(snapshot.config, origin.name, "pool", exchange.place)
    if isinstance(origin, ByCountry):
        for name in sorted({pool.name for pool in origin.countries.values()}):
            countries = sorted(code for code, pool in origin.countries.items() if pool.name == name)
            yield f"  from    {', '.join(countries)}:"
            yield from _pools(snapshot.config, name, "  pool", exchange.place)


def _pools(config: Config, first: str, label: str, place: Place) -> Iterator[str]:
    name: str | None = first
    while name is not None and name in config.pools:
        pool = config.pools[name]
        yield f"{label:<10}{name}: {pool.balance} over {len(pool.endpoints)}"
        if pool.prefer is not None:
            yield f"          {_by_region(pool.regions, pool.prefer, place)}"
        for endpoint in pool.endpoints:
            told = {"weight": endpoint.weight, "priority": endpoint.priority, "region": endpoint.region}
            usual = EndpointConfig.model_fields
            said = ", ".join(f"{what} {value}" for what, value in told.items() if value != usual[what].default)
            yield f"          - {endpoint.url}" + (f" ({said})" if said else "")
        if pool.endpoints_file is not None:
            yield f"          - those in {pool.endpoints_file}"
        name, label = pool.fallback, "  then"


def _by_region(regions: dict[str, RegionConfig], prefer: PreferConfig, place: Place) -> str:
    """The order of the regions for a client there, as long as nothing is measured."""
    chosen = Regions(regions, prefer, tuple)
    far = chosen.kilometres(place)
    order = [f"{name} ({far[name]:.0f} km)" if name in far else name for name in chosen.order(place, 0.0)]
    return f"by {prefer.by} from {place.country or 'nowhere known'}: {', '.join(order)}"


def _try_certificates(config: Config) -> None:
    errors = []
    for index, listener in enumerate(config.listeners):
        if listener.tls is None:
            continue
        try:
            new_context(listener.tls, ())
        except (OSError, ValueError) as error:
            errors.append(located(("listeners", index, "tls", "client_ca"), f"cannot be used: {error}"))
            continue
        for number, pair in enumerate(listener.tls.certificates):
            try:
                load(new_context(listener.tls, ()), pair.certificate, pair.key)
                read(pair.certificate)
            except (OSError, ValueError) as error:
                place: Loc = ("listeners", index, "tls", "certificates", number)
                message = f"cannot be used: {error} ({pair.certificate}, {pair.key})"
                errors.append(located(place, message))
    if errors:
        raise ConfigErrors(errors)


def warnings(config: Config, now: float) -> Iterator[str]:
    """What may be served, but should not be left so: certificates near their end, or past it."""
    for listener in config.listeners:
        for pair in () if listener.tls is None else listener.tls.certificates:
            complaint = read(pair.certificate).complaint(now)
            if complaint:
                yield f"{listener.address}: {pair.certificate} {complaint}"


def _no_calls() -> aiohttp.ClientSession:
    _refuse()


def _refuse() -> NoReturn:
    raise RuntimeError("nothing is called while a configuration is tried")
