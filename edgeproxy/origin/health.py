"""Active health: every endpoint is asked now and then whether it serves."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable

from edgeproxy.config.schema import HealthConfig
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Request
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
    try:
        async with asyncio.timeout(config.timeout):
            connection = await endpoint.connect()
            try:
                endpoint.in_flight += 1
                return await _status(connection, endpoint, config) in config.status
            finally:
                connection.abort()
    except (EdgeError, TimeoutError):
        return False
