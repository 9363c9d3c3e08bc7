"""What an endpoint keeps between requests, over HTTP/1.1: connections that nobody uses."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Protocol

from edgeproxy.origin.way import Owner, Way

Connect = Callable[[Owner, float], Awaitable[Way]]


class Kept(Protocol):
    """Where an endpoint's ways come from. Its length: how many connections could take a request at once."""

    def take(self, owner: Owner) -> Way | None:
        """A way that needs no new connection, if there is one."""

    async def open(self, connect: Connect, owner: Owner, until: float) -> Way:
        """A way over a new connection, before ``until`` (the loop's time). Raises EdgeError."""

    def keep(self, way: Way) -> None:
        """Keep a way that nobody uses, if there is room."""

    def lost(self, way: Way) -> None:
        """It is closed and was idle."""

    def close(self) -> None:
        """Out of service: what is idle closes now, what is in use with its exchange."""

    def __len__(self) -> int: ...


class Idle:
    """At most ``most`` connections, each for ``seconds``."""

    def __init__(self, most: int, seconds: float) -> None:
        self._most = most
        self._seconds = seconds
        self._ways: list[Way] = []

    def take(self, owner: Owner) -> Way | None:
        """The one used last: the others may grow old and be closed."""
        while self._ways:
            way = self._ways.pop()
            if not way.closing:
                return way
        return None

    async def open(self, connect: Connect, owner: Owner, until: float) -> Way:
        return await connect(owner, until)

    def keep(self, way: Way) -> None:
        if len(self._ways) < self._most:
            self._ways.append(way)
            way.rest(self._seconds)
        else:
            way.close()

    def lost(self, way: Way) -> None:
        if way in self._ways:
            self._ways.remove(way)

    def close(self) -> None:
        self._most = 0
        ways, self._ways = self._ways, []
        for way in ways:
            way.close()

    def __len__(self) -> int:
        return len(self._ways)

    def __repr__(self) -> str:
        return f"<Idle {len(self._ways)}>"
