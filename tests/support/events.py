"""An origin of server-sent events: what each stream sends, and when, is up to the test."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

SCRIPT = """
    window.seen = [];
    window.source = new EventSource("/events");
    source.onmessage = async (event) => {
        seen.push(event.data);
        await fetch("/ack?" + event.data);
    };
"""
PAGE = f"<!doctype html><link rel=icon href=data:,><title>events</title><script>{SCRIPT}</script>"


class Stream:
    """One stream, from the request that opened it on."""

    def __init__(self, request: web.Request, response: web.StreamResponse) -> None:
        self.request = request
        self.left = asyncio.Event()
        """Set when who reads it has left."""
        self.ended = asyncio.Event()
        self._response = response

    async def send(self, data: str) -> None:
        """Write one event; waits while nobody takes what was written."""
        await self._response.write(f"data: {data}\n\n".encode())

    async def write(self, data: bytes) -> None:
        await self._response.write(data)


class EventOrigin:
    """``/events`` is a stream each, in :attr:`opened` by its order; ``/`` a page that reads one and says so at
    ``/ack?DATA``, which :attr:`acknowledged` holds; ``/plain`` anything else."""

    def __init__(self, cache_control: str) -> None:
        self.opened: asyncio.Queue[Stream] = asyncio.Queue()
        self.acknowledged: asyncio.Queue[str] = asyncio.Queue()
        self.url = ""
        self._cache_control = cache_control

    async def _events(self, request: web.Request) -> web.StreamResponse:
        headers = {"content-type": "text/event-stream; charset=utf-8", "cache-control": self._cache_control}
        response = web.StreamResponse(headers=headers)
        await response.prepare(request)
        stream = Stream(request, response)
        self.opened.put_nowait(stream)
        try:
            await stream.ended.wait()
        except asyncio.CancelledError:
            stream.left.set()
            raise
        return response

    async def _page(self, request: web.Request) -> web.Response:
        return web.Response(text=PAGE, content_type="text/html", headers={"cache-control": "no-store"})

    async def _ack(self, request: web.Request) -> web.Response:
        self.acknowledged.put_nowait(request.query_string)
        return web.Response(text="", headers={"cache-control": "no-store"})

    async def _plain(self, request: web.Request) -> web.Response:
        return web.Response(text="plain", headers={"cache-control": "no-store"})


@asynccontextmanager
async def event_origin(cache_control: str = "no-cache") -> AsyncIterator[EventOrigin]:
    """Serves on a free port of loopback until left."""
    origin = EventOrigin(cache_control)
    app = web.Application()
    app.router.add_get("/events", origin._events)
    app.router.add_get("/", origin._page)
    app.router.add_get("/ack", origin._ack)
    app.router.add_get("/plain", origin._plain)
    runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=0.1)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        origin.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        yield origin
    finally:
        await runner.cleanup()
