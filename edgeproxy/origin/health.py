"""Active health: every endpoint is asked now and then whether it serves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from urllib.parse import quote

from edgeproxy.config.pools import HealthConfig, TimeoutsConfig
from edgeproxy.errors import EdgeError
from edgeproxy.http import grpc
from edgeproxy.http.message import Request, Response
from edgeproxy.origin.endpoint import Endpoint
from edgeproxy.origin.health_grpc import FIELDS, PATH, question, serves
from edgeproxy.origin.http2_head import plain
from edgeproxy.origin.way import Way
from edgeproxy.origin.wire import Call

JITTER = 0.2  # of the interval, both ways: checks of many workers and nodes must not come at once
SPREAD = 64  # endpoints from which on the first checks do not all come at once
BODY_READ = 64 * 1024  # bytes of an answer that are looked at
_WEIGHT = 0.3  # of one check in what an endpoint's checks take
_AGENT = {b"user-agent": b"edgeproxy"}


class Health:
    """Checks in a row become a judgement: ``fall`` failed ones take an endpoint out, ``rise`` passed ones back in."""

    __slots__ = ("_config", "_row", "healthy")

    def __init__(self, config: HealthConfig) -> None:
        self._config = config
        self.healthy = True
        self._row = 0  # checks in a row that speak against the present judgement

    def observe(self, passed: bool) -> bool:
        """Count one check; whether the judgement changed."""
        if passed == self.healthy:
            self._row = 0
            return False
        self._row += 1
        if self._row < (self._config.fall if self.healthy else self._config.rise):
            return False
        self.healthy = not self.healthy
        self._row = 0
        return True

    def __repr__(self) -> str:
        return f"<Health {'up' if self.healthy else 'down'} {self._row}>"


async def watch(endpoint: Endpoint, config: HealthConfig, changed: Callable[[Endpoint], None], others: int) -> None:
    """Check ``endpoint``, one of so many and more, for ever. Its ``healthy`` and ``probe_seconds`` follow; ``changed``
    is told."""
    health = Health(config)
    loop = asyncio.get_running_loop()
    if others > SPREAD:
        await asyncio.sleep(config.interval * random.random())
    while True:
        began = loop.time()
        passed = await passes(endpoint, config)
        if passed:
            seconds, known = loop.time() - began, endpoint.probe_seconds
            endpoint.probe_seconds = known + _WEIGHT * (seconds - known) if known else seconds
        if health.observe(passed):
            endpoint.healthy = health.healthy
            changed(endpoint)
        await asyncio.sleep(config.interval * random.uniform(1 - JITTER, 1 + JITTER))


async def passes(endpoint: Endpoint, config: HealthConfig) -> bool:
    """One check on a connection of its own: whether it stands, or what is asked there is answered as it should be in
    time."""
    until = asyncio.get_running_loop().time() + config.timeout
    if config.type == "tcp":
        return await connects(endpoint, until)
    call, head = _question(endpoint, config, until)
    try:
        connection = await endpoint.connect(_Check(endpoint.timeouts), until)
        try:
            return await _as_it_should_be(await connection.send(call, head), config)
        finally:
            connection.abort()
    except EdgeError:
        return False


def _question(endpoint: Endpoint, config: HealthConfig, until: float) -> tuple[Call, bytes]:
    """What is asked, and its head as the endpoint's protocol has it."""
    host = endpoint.authority if config.host is None else config.host.encode()
    path = quote(config.path, safe="/%:@!$&'()*+,;=~").encode()
    if not endpoint.http2:
        head = b"GET %b HTTP/1.1\r\nhost: %b\r\nuser-agent: edgeproxy\r\nconnection: close\r\n\r\n" % (path, host)
        return Call(Request(b"GET", path, {}), until), head
    if config.type == "http":
        return Call(Request(b"GET", path, {}), until), plain(b"GET", endpoint.scheme, host, path, _AGENT)
    call = Call(Request(b"POST", PATH, {}), until)
    call.content = question(config.service)
    return call, plain(b"POST", endpoint.scheme, host, PATH, _AGENT | FIELDS)


async def _as_it_should_be(response: Response, config: HealthConfig) -> bool:
    """Raises EdgeError if the answer breaks off."""
    if config.type == "grpc":
        message = await _beginning(response)
        body = response.body
        told = response.headers() if isinstance(body, bytes) else body.trailers
        return response.status == 200 and grpc.ended_with(told) == "0" and serves(message)
    return response.status in config.status and (
        config.body is None or config.body.encode() in await _beginning(response)
    )


async def connects(endpoint: Endpoint, until: float = float("inf")) -> bool:
    """Whether a connection to it stands, TLS included, before ``until`` (the loop's time) and its own time-out."""
    try:
        connection = await endpoint.connect(_Check(endpoint.timeouts), until)
    except EdgeError:
        return False
    connection.abort()
    return True


async def _beginning(response: Response) -> bytes:
    """Of its body. Raises EdgeError if that breaks off before."""
    body = response.body
    if isinstance(body, bytes):
        return body[:BODY_READ]
    read = bytearray()
    while len(read) < BODY_READ and (data := await body.read()):
        read += data
    return bytes(read[:BODY_READ])


class _Check:
    """Owns a check's connection: what it tells is no request's business."""

    def __init__(self, timeouts: TimeoutsConfig) -> None:
        self.timeouts = timeouts

    def ended(self, way: Way, error: EdgeError | None, status: int) -> None:
        """The answer's status, or the error, comes to who waits for it."""

    def lost(self, way: Way) -> None:
        """It is not kept."""
