"""A request body on its way to an origin, read as the origin takes it."""

from __future__ import annotations

import asyncio

from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.body import Body
from edgeproxy.origin.way import Way
from edgeproxy.origin.wire import Call


class Upload:
    """Sends a body that is not here yet, beside the wait for the answer. The one place that costs a task."""

    def __init__(self, way: Way, body: Body, call: Call) -> None:
        self._way = way
        self._body = body
        self._call = call
        way.deadline.set(way.until)
        self._task = asyncio.ensure_future(self._send())
        self._task.add_done_callback(self._over)

    def stop(self) -> None:
        self._task.cancel()

    def _over(self, task: asyncio.Task[None]) -> None:
        if task.cancelled():
            return
        error = task.exception()
        if error is None:
            self._way.sent()
        elif isinstance(error, EdgeError):
            self._way.fail(error)
        else:
            self._way.fail(EdgeError(Kind.INTERNAL, "edge", f"reading the request: {error!r}"))

    async def _send(self) -> None:
        way, body = self._way, self._body
        open_ended = body.length is None
        left = body.length or 0
        self._call.begun = True
        while data := await body.read():
            left -= len(data)
            if left < 0 and not open_ended:
                break
            way.put(data)
            if not way.writable.is_set():
                await way.drain()
        if left and not open_ended:
            # What was announced is what must be sent, or the origin reads the next request as part of this one.
            raise EdgeError(Kind.BAD_REQUEST, "client", "a body of another length than announced")
        way.put_last(body.trailers)
