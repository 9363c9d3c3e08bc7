"""The demo's origin: pages, photographs, a JSON API and a WebSocket echo, each with the caching headers it deserves.

Compression is left to the proxy.
"""

from __future__ import annotations

import hashlib
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from aiohttp import WSMsgType, web

from edgeproxy.demo.files import NEVER, File, load_files, not_found_page

STATIONS = Path(__file__).parent / "stations.json"

_API_SHARED = "public, max-age=10, s-maxage=60"
_ECHO_MESSAGE = 64 * 1024  # bytes
_ECHO_CONNECTIONS = 200


def make_app() -> web.Application:
    """The origin as an aiohttp application. Raises ValueError if the site's files do not fit together."""
    files = load_files()
    app = web.Application(middlewares=[_not_found(not_found_page(files))], client_max_size=_ECHO_MESSAGE)
    for address, file in files.items():
        app.router.add_get(address, _serve(file))
    Api(json.loads(STATIONS.read_bytes())).add_to(app)
    app.router.add_get("/ws/echo", Echo().handle)
    return app


def _serve(file: File) -> Any:
    async def handle(request: web.Request) -> web.Response:
        return _answer(request, file.body, file.content_type, file.cache_control, file.etag, file.modified)

    return handle


def _answer(
    request: web.Request,
    body: bytes,
    content_type: str,
    cache_control: str,
    etag: str,
    modified: datetime | None = None,
) -> web.Response:
    """The body, or 304 where the client has it already (RFC 9110 §13.2.2)."""
    headers = {"content-type": content_type, "cache-control": cache_control}
    known = request.if_none_match
    if known is not None:
        unchanged = any(tag.value in {etag, "*"} for tag in known)
    else:
        since = request.if_modified_since
        unchanged = modified is not None and since is not None and modified <= since
    if unchanged:
        del headers["content-type"]
    response = web.Response(status=304, headers=headers) if unchanged else web.Response(body=body, headers=headers)
    response.etag = etag
    response.last_modified = modified
    return response


class Api:
    """/api/stations may be shared by all for a minute, /api/time by nobody."""

    def __init__(self, stations: list[dict[str, Any]]) -> None:
        self._list = _json([{k: s[k] for k in ("id", "name", "latitude", "longitude")} for s in stations])
        self._each = {station["id"]: _json(station) for station in stations}
        self._asked = 0

    def add_to(self, app: web.Application) -> None:
        app.router.add_get("/api/time", self.time)
        app.router.add_get("/api/stations", self.stations)
        app.router.add_get("/api/stations/{id}", self.station)
        app.router.add_get("/healthz", self.health)

    async def time(self, request: web.Request) -> web.Response:
        self._asked += 1
        now = datetime.now(UTC).isoformat(timespec="milliseconds")
        return web.json_response({"time": now, "asked": self._asked}, headers={"cache-control": "no-store"})

    async def stations(self, request: web.Request) -> web.Response:
        return _shared(request, self._list)

    async def station(self, request: web.Request) -> web.Response:
        body = self._each.get(request.match_info["id"])
        if body is None:
            return web.json_response({"error": "no such station"}, status=404, headers={"cache-control": NEVER})
        return _shared(request, body)

    async def health(self, request: web.Request) -> web.Response:
        return web.Response(text="ok\n", headers={"cache-control": "no-store"})


def _json(value: object) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def _shared(request: web.Request, body: bytes) -> web.Response:
    etag = hashlib.sha256(body).hexdigest()[:20]
    return _answer(request, body, "application/json; charset=utf-8", _API_SHARED, etag)


class Echo:
    """/ws/echo sends each message back."""

    def __init__(self) -> None:
        self._open = 0

    async def handle(self, request: web.Request) -> web.StreamResponse:
        """One client, until it closes; 503 when too many are here already."""
        if self._open >= _ECHO_CONNECTIONS:
            return web.Response(status=503, text="Too many connections.\n", headers={"cache-control": "no-store"})
        socket = web.WebSocketResponse(max_msg_size=_ECHO_MESSAGE, heartbeat=30)
        if not socket.can_prepare(request).ok:
            return web.Response(
                status=426,
                text="This address speaks WebSocket.\n",
                headers={"upgrade": "websocket", "connection": "upgrade"},
            )
        await socket.prepare(request)
        self._open += 1
        try:
            async for message in socket:
                if message.type is WSMsgType.TEXT:
                    await socket.send_str(message.data)
                elif message.type is WSMsgType.BINARY:
                    await socket.send_bytes(message.data)
        finally:
            self._open -= 1
        return socket


def _not_found(page: bytes) -> Any:
    """The site's own page where the router finds nothing."""

    @web.middleware
    async def middleware(request: web.Request, handler: Any) -> web.StreamResponse:
        try:
            answer: web.StreamResponse = await handler(request)
        except web.HTTPNotFound:
            headers = {"content-type": "text/html; charset=utf-8", "cache-control": "public, max-age=0, s-maxage=10"}
            return web.Response(status=404, body=page, headers=headers)
        return answer

    return middleware
