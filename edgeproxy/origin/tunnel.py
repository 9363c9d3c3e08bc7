"""The origin's end of a connection that was upgraded: bytes both ways, each held back by its reader."""

from __future__ import annotations

from typing import TYPE_CHECKING

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Pipe, Tunnel

if TYPE_CHECKING:
    from edgeproxy.origin.client import Connection


class OriginTunnel(Tunnel):
    """What a WebSocket's bytes pass through. Ends when it is closed, or when the origin ends its direction."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self._lost = False
        transport = connection.transport
        self._inward = Pipe(pause=transport.pause_reading, resume=self._resume)

    async def read(self) -> bytes:
        return await self._inward.read()

    def write(self, data: bytes) -> None:
        if not self._lost:
            self._connection.transport.write(data)

    async def drain(self) -> None:
        await self._connection.writable.wait()
        if self._lost:
            raise EdgeError(Kind.CONNECTION_LOST, "origin")

    def close(self) -> None:
        self._inward.close()
        self._connection.close()  # what was written is still sent

    # What the connection tells.

    def received(self, data: bytes) -> None:
        self._inward.feed(data)

    def ended(self) -> None:
        self._inward.finish()

    def lost(self) -> None:
        self._lost = True
        self._inward.fail(EdgeError(Kind.CONNECTION_LOST, "origin"))

    def _resume(self) -> None:
        if not self._connection.closing:
            self._connection.transport.resume_reading()

    def __repr__(self) -> str:
        return f"<OriginTunnel {'lost' if self._lost else 'open'}>"
