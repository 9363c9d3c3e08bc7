"""The origin's end of a connection that was upgraded: bytes both ways, each held back by its reader."""

from __future__ import annotations

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe, Tunnel
from edgeproxy.origin.way import Way


class OriginTunnel(Tunnel):
    """What a WebSocket's bytes pass through. Ends when it is closed, or when the origin ends its direction."""

    def __init__(self, way: Way) -> None:
        self._way = way
        self._lost = False
        self._inward = Pipe(pause=way.hold, resume=way.unhold)

    async def read(self) -> bytes:
        return await self._inward.read()

    def write(self, data: bytes) -> None:
        if not self._lost:
            self._way.put(data)

    async def drain(self) -> None:
        await self._way.writable.wait()
        if self._lost:
            raise EdgeError(Kind.CONNECTION_LOST, "origin")

    def close(self) -> None:
        self._inward.close()
        self._way.close()  # what was written is still sent

    # What the way tells.

    def received(self, data: bytes) -> None:
        self._inward.feed(data)

    def ended(self) -> None:
        self._inward.finish()

    def lost(self) -> None:
        self._lost = True
        self._inward.fail(EdgeError(Kind.CONNECTION_LOST, "origin"))

    def __repr__(self) -> str:
        return f"<OriginTunnel {'lost' if self._lost else 'open'}>"
