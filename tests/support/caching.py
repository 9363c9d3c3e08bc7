"""One cache stage in front of an origin that a test scripts: no socket, and a clock of its own."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

from edgeproxy.clock import ManualClock
from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.runner import serve
from middleware.cache import Cache
from tests.support.stages import Client, exchange, route, services, stage


class Edge:
    """One cache stage in front of an origin that a test scripts."""

    name = "origin"

    def __init__(self, **config: Any) -> None:
        self.clock = ManualClock()
        lent = services(self.clock)
        self.tiers = lent.cache
        self.route = route([stage(Cache, config, lent)], self)
        self.asked: list[Request] = []
        self.hints: list[tuple[int, Headers]] = []  # interim answers before each answer
        self.answer: Callable[[Request], Awaitable[Response]] = self.plain

    async def plain(self, request: Request) -> Response:
        return Response(200, {b"cache-control": b"max-age=60", b"etag": b'"1"'}, b"body")

    async def fetch(self, x: Exchange) -> Response:
        self.asked.append(x.request)
        for status, fields in self.hints:
            if x.interim is not None:
                x.interim(status, fields)
        return await self.answer(x.request)

    def start(self, method: bytes = b"GET", target: bytes = b"/", **fields: bytes) -> Client:
        headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}
        x = exchange(target, headers, method=method, authority=b"a.test", started=0.0)
        x.route = self.route
        client = Client()
        serve(x, client)
        return client

    async def get(self, target: bytes = b"/", **fields: bytes) -> Client:
        return await self.start(target=target, **fields).done()

    async def send(self, method: bytes, target: bytes = b"/", **fields: bytes) -> Client:
        return await self.start(method, target, **fields).done()

    def answers(self, status: int = 200, body: bytes = b"body", **fields: bytes) -> None:
        """Answer like this from now on; underscores in names stand for hyphens."""
        headers = {name.replace("_", "-").encode(): value for name, value in fields.items()}

        async def answer(request: Request) -> Response:
            return Response(status, headers.copy(), body)

        self.answer = answer
