"""A request body on its way to an origin, read as the origin takes it."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body
from edgeproxy.origin.wire import Call, chunk, last_chunk

if TYPE_CHECKING:
    from edgeproxy.origin.client import Connection


class Upload:
    """Sends a body that is not here yet, beside the wait for the answer. The one place that costs a task."""

    def __init__(self, connection: Connection, body: Body, call: Call) -> None:
        self._connection = connection
        self._body = body
        self._call = call
        connection.deadline.set(connection.until)
        self._task = asyncio.ensure_future(self._send())
        self._task.add_done_callback(self._over)

    def stop(self) -> None:
        self._task.cancel()

    def _over(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._connection.sent()
        elif isinstance(error, EdgeError):
            self._connection.fail(error)
        else:
            self._connection.fail(EdgeError(Kind.INTERNAL, "edge", f"reading the request: {error!r}"))

    async def _send(self) -> None:
        connection, body = self._connection, self._body
        write = connection.transport.write
        chunked = body.length is None
        left = body.length or 0
        self._call.begun = True
        while data := await body.read():
            left -= len(data)
            if left < 0 and not chunked:
                break
            write(chunk(data) if chunked else data)
            if not connection.writable.is_set():
                await connection.drain()
        if chunked:
            write(last_chunk(body.trailers))
        elif left:
            # What was announced is what must be sent, or the origin reads the next request as part of this one.
            raise EdgeError(Kind.BAD_REQUEST, "client", "a body of another length than announced")
