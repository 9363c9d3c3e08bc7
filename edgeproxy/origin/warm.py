"""Warm spares: connections opened before they are needed, so that no request waits for a handshake."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence

from edgeproxy.errors import EdgeError
from edgeproxy.origin.endpoint import Endpoint

EVERY = 0.25  # seconds between looks at what is missing
AT_ONCE = 8  # connections a look may open, of all endpoints together
REST, LONGEST_REST = 1.0, 60.0  # seconds an endpoint that wants no spares is left alone, doubled each time
SHORT = 5.0  # seconds: an origin that closes what it has just accepted wants none
TICKET = 1.0  # seconds in which the TLS session to go on with has come


class _Spares:
    """What became of one endpoint's spares: ``idle`` of them ``since`` then, when it had got so many ``requests``; it
    ``rests`` so many seconds, ``until`` then."""

    __slots__ = ("idle", "requests", "rests", "since", "until")

    def __init__(self) -> None:
        self.idle = self.requests = 0
        self.since = self.until = self.rests = 0.0

    def rest(self, now: float) -> None:
        if now < self.until:
            return  # it has failed several times at once
        self.rests = min(2 * self.rests or REST, LONGEST_REST)
        self.until = now + self.rests
        self.idle = 0

    def opened(self, endpoint: Endpoint, now: float) -> None:
        """One more stands."""
        self.idle, self.requests, self.since = endpoint.idle, endpoint.requests, now

    def judge(self, endpoint: Endpoint, now: float) -> None:
        """Look where they are: closed as soon as they stood, though nobody used them, or as it should be."""
        if endpoint.idle >= self.idle:
            return
        if endpoint.requests == self.requests and now - self.since < SHORT:
            self.rest(now)
        else:
            self.idle, self.rests = 0, 0.0


class Warm:
    """Keeps ``spares`` idle connections at each endpoint that is fit. Endpoints take turns, so that a pool of many that
    has just started is warm after a while, and its origins do not meet all at once."""

    def __init__(self, spares: int, endpoints: Callable[[], Sequence[Endpoint]]) -> None:
        self._wanted = spares
        self._endpoints = endpoints
        self._turn = 0
        self._spares: dict[Endpoint, _Spares] = {}
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begin, if there are to be any."""
        if self._wanted:
            self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        """Open no more; those there are the endpoints'."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            cold = self._cold(loop.time())
            if cold:
                await asyncio.gather(*map(self._open, cold))
            await asyncio.sleep(EVERY)

    def _cold(self, now: float) -> list[Endpoint]:
        """Whom to open a connection to, one entry each."""
        endpoints = self._endpoints()
        if len(self._spares) > len(endpoints):
            self._spares = {endpoint: self._spares[endpoint] for endpoint in endpoints if endpoint in self._spares}
        cold: list[Endpoint] = []
        for step in range(len(endpoints)):
            endpoint = endpoints[(self._turn + step) % len(endpoints)]
            missing = self._wanted - endpoint.idle
            if missing <= 0 or not endpoint.fit:
                continue
            spares = self._spares.setdefault(endpoint, _Spares())
            spares.judge(endpoint, now)
            if now < spares.until:
                continue
            cold += [endpoint] * min(missing, AT_ONCE - len(cold))
            if len(cold) == AT_ONCE:
                self._turn = (self._turn + step + 1) % len(endpoints)
                break
        return cold

    async def _open(self, endpoint: Endpoint) -> None:
        loop = asyncio.get_running_loop()
        spares = self._spares[endpoint]
        try:
            connection = await endpoint.connect(endpoint, loop.time() + endpoint.timeouts.connect)
        except EdgeError:
            spares.rest(loop.time())
            return
        endpoint.keep(connection)
        loop.call_later(TICKET, endpoint.dialer.learn, connection)
        spares.opened(endpoint, loop.time())

    def __repr__(self) -> str:
        return f"<Warm {self._wanted} at {len(self._spares)} endpoints>"
