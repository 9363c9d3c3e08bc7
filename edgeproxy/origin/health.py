"""Active health: every endpoint is asked now and then whether it serves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable
from urllib.parse import quote

from edgeproxy.config.schema import HealthConfig, TimeoutsConfig
from edgeproxy.errors import EdgeError
from edgeproxy.http.message import Request
from edgeproxy.origin.client import Connection
from edgeproxy.origin.endpoint import Endpoint
from edgeproxy.origin.wire import Call

JITTER = 0.2  # of the interval, both ways: checks of many workers and nodes must not come at once


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


async def watch(endpoint: Endpoint, config: HealthConfig, changed: Callable[[Endpoint], None]) -> None:
    """Check ``endpoint`` for ever. Its ``healthy`` follows; ``changed`` is told."""
    health = Health(config)
    while True:
        if health.observe(await passes(endpoint, config)):
            endpoint.healthy = health.healthy
            changed(endpoint)
        await asyncio.sleep(config.interval * random.uniform(1 - JITTER, 1 + JITTER))


async def passes(endpoint: Endpoint, config: HealthConfig) -> bool:
    """One check on a connection of its own: whether a GET gets one of the statuses in time."""
    until = asyncio.get_running_loop().time() + config.timeout
    path = quote(config.path, safe="/%:@!$&'()*+,;=~").encode()
    host = endpoint.authority if config.host is None else config.host.encode()
    head = b"GET %b HTTP/1.1\r\nhost: %b\r\nuser-agent: edgeproxy\r\nconnection: close\r\n\r\n" % (path, host)
    try:
        connection = await endpoint.connect(_Check(endpoint.timeouts), until)
        try:
            response = await connection.send(Call(Request(b"GET", path, {}), until), head)
        finally:
            connection.abort()
    except EdgeError:
        return False
    return response.status in config.status


class _Check:
    """Owns a check's connection: what it tells is no request's business."""

    def __init__(self, timeouts: TimeoutsConfig) -> None:
        self.timeouts = timeouts

    def ended(self, connection: Connection, error: EdgeError | None, status: int) -> None:
        """The answer's status, or the error, comes to who waits for it."""

    def lost(self, connection: Connection) -> None:
        """It is not kept."""
