"""Stages built from settings, and what they are given, by hand: services, exchanges, a client to answer."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Sequence
from typing import Any, TypeVar

import aiohttp

from edgeproxy.cache.tiers import Tiers
from edgeproxy.clock import Clock, ManualClock
from edgeproxy.config.compile import NoRoute
from edgeproxy.config.snapshot import Origin, Route
from edgeproxy.http.headers import Headers, from_pairs
from edgeproxy.http.message import Request, Response
from edgeproxy.observe.metrics import Metrics
from edgeproxy.pipeline.chain import LogHook, compile_chain
from edgeproxy.pipeline.exchange import Exchange, Peer
from edgeproxy.pipeline.middleware import Middleware, Services

M = TypeVar("M", bound=Middleware)

CHROME = {
    b"host": b"www.example.com",
    b"sec-ch-ua": b'"Chromium";v="140", "Not=A?Brand";v="24", "Google Chrome";v="140"',
    b"sec-ch-ua-mobile": b"?0",
    b"sec-ch-ua-platform": b'"Windows"',
    b"upgrade-insecure-requests": b"1",
    b"user-agent": b"Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) "
    b"Chrome/140.0.0.0 Safari/537.36",
    b"accept": b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,image/apng,*/*;q=0.8",
    b"sec-fetch-site": b"same-origin",
    b"sec-fetch-mode": b"navigate",
    b"sec-fetch-user": b"?1",
    b"sec-fetch-dest": b"document",
    b"accept-encoding": b"gzip, deflate, br, zstd",
    b"accept-language": b"en-GB,en;q=0.9",
    b"cookie": b"consent=1; session=8f14e45fceea167a5a36dedd4bea2543",
}


def no_session() -> aiohttp.ClientSession:
    raise AssertionError("this stage must not call out")


def services(clock: Clock | None = None, http: Callable[[], aiohttp.ClientSession] = no_session) -> Services:
    clock, metrics = clock or ManualClock(), Metrics()
    return Services(clock, metrics, Tiers(10_000_000, clock, metrics), http)


def stage(kind: type[M], settings: dict[str, Any] | None = None, lent: Services | None = None) -> M:
    """The stage as a configuration with these settings would build it. Raises ValidationError."""
    return kind(kind.Config.model_validate(settings or {}), lent or services())


def route(
    stages: Sequence[Middleware] = (),
    origin: Origin | None = None,
    *,
    name: str = "site",
    log: Sequence[LogHook] = (),
    partition: bytes = b"",
) -> Route:
    """A route through these stages; without an origin it is the one that has none."""
    return Route(name, compile_chain(stages, log), origin or NoRoute(), partition)


def exchange(
    target: bytes = b"/",
    headers: Iterable[tuple[bytes, bytes]] | dict[bytes, bytes] = (),
    *,
    method: bytes = b"GET",
    client: str = "192.0.2.7",
    scheme: bytes = b"http",
    authority: bytes = b"www.example.com",
    started: float = 1_800_000_000.0,
) -> Exchange:
    """An exchange as a listener would begin it, on a route named ``site``."""
    fields = dict(headers) if isinstance(headers, dict) else from_pairs(headers)
    path, _, query = target.partition(b"?")
    host = authority.partition(b":")[0]
    request = Request(method, target, fields, authority=authority, host=host, scheme=scheme, path=path, query=query)
    x = Exchange(request, Peer(client, 40_000, "", "198.51.100.1", None), started)
    x.route = route()
    return x


class Client:
    """What a listener lends an exchange to answer on; keeps the answer, its body, and the task it took, if any."""

    def __init__(self) -> None:
        self.response: Response | None = None
        self.body = b""
        self.task: asyncio.Task[None] | None = None
        self.hints: list[tuple[int, Headers]] = []

    def send(self, x: Exchange, response: Response) -> None:
        assert isinstance(response.body, bytes)
        self.response, self.body = response, response.body

    def interim(self, x: Exchange, status: int, fields: Headers) -> None:
        self.hints.append((status, fields))

    async def stream(self, x: Exchange, response: Response) -> None:
        assert not isinstance(response.body, bytes)
        self.response = response
        while chunk := await response.body.read():
            self.body += chunk

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        assert self.task is None, "one task an exchange"
        self.task = asyncio.get_running_loop().create_task(work)

    async def done(self) -> Client:
        if self.task is not None:
            await self.task
        return self

    @property
    def status(self) -> int:
        assert self.response is not None
        return self.response.status

    def field(self, name: bytes) -> bytes | None:
        assert self.response is not None
        return self.response.get(name)
