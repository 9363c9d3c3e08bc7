"""Bodies on their way to the client, as they come."""

from __future__ import annotations

from collections.abc import Sequence

from edgeproxy.http.body import Body
from edgeproxy.http.headers import serialize
from edgeproxy.http.message import BodyFilter, Response
from edgeproxy.listener.sink import Sink
from edgeproxy.pipeline.exchange import Exchange


async def write_body(sink: Sink, x: Exchange, response: Response, body: Body, *, chunked: bool) -> None:
    """Through the answer's filters, counted in ``x.sent``. Raises EdgeError if either side broke off."""
    write = sink.put
    filters = response.filters or ()
    while True:
        chunk = body.take()
        last = chunk is not None
        if chunk is None:
            chunk = await body.read()
            last = not chunk
        for feed in filters:
            chunk = feed(chunk) if chunk else chunk
        if last:
            chunk += _flush(filters)
        if chunk:
            x.sent += len(chunk)
            write(b"%x\r\n%b\r\n" % (len(chunk), chunk) if chunked else chunk)
        if last:
            break
        if sink.paused_writing:
            await sink.drain()
    if chunked:
        write(b"0\r\n%b\r\n" % serialize(body.trailers or {}))


def _flush(filters: Sequence[BodyFilter]) -> bytes:
    """The rest of every filter, passed through those behind it."""
    rest = b""
    for feed in filters:
        rest = (feed(rest) if rest else b"") + feed(b"")
    return rest
