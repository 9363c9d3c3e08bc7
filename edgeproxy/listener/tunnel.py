"""A connection that carries another protocol (RFC 9110 §7.8): bytes pass both ways until one side ends."""

from __future__ import annotations

import asyncio

from edgeproxy.http.body import Pipe, Tunnel
from edgeproxy.listener.sink import Sink
from edgeproxy.pipeline.exchange import Exchange


async def carry(sink: Sink, x: Exchange, client: Pipe, origin: Tunnel) -> None:
    """Both ways at once, what the client gets counted in ``x.sent``. Either side's end closes the origin's."""
    pumps = [asyncio.ensure_future(_upstream(client, origin)), asyncio.ensure_future(_downstream(sink, x, origin))]
    try:
        await asyncio.wait(pumps, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for pump in pumps:
            pump.cancel()
        origin.close()
        await asyncio.gather(*pumps, return_exceptions=True)


async def _upstream(client: Pipe, origin: Tunnel) -> None:
    while data := await client.read():
        origin.write(data)
        await origin.drain()


async def _downstream(sink: Sink, x: Exchange, origin: Tunnel) -> None:
    while data := await origin.read():
        sink.put(data)
        x.sent += len(data)
        if sink.paused_writing:
            await sink.drain()
