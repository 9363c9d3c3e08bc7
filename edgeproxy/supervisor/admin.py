"""The admin listener: health, metrics, configuration, pools, purge, reload and a live page, as an aiohttp application.

Orders, the configuration and the page's figures, which name URLs, are for whoever has the token (``admin.token``);
without one, for this machine alone. It refuses names a rebound DNS entry could carry, and takes orders only as
application/json, which no page of another site can send without asking first (CORS preflight).
"""

from __future__ import annotations

import hmac
import ipaddress
import json
import socket
import time
from collections.abc import Awaitable, Callable, Collection
from typing import Any, Protocol
from urllib.parse import urlsplit

import yaml
from aiohttp import hdrs, web

from edgeproxy.cache.purge import Purge
from edgeproxy.observe.metrics import Dump, render
from edgeproxy.supervisor.draining import endpoint_of
from edgeproxy.supervisor.masking import masked
from edgeproxy.supervisor.orders import purges_of
from edgeproxy.supervisor.page.files import PageFile, page_files
from edgeproxy.supervisor.sockets import remove_file

LARGEST_BODY = 64 * 1024
PROMETHEUS = "text/plain; version=0.0.4; charset=utf-8"
NO_STORE = {"Cache-Control": "no-store"}
PAGE = page_files()
# What anybody may ask who reaches the listener; the page's files hold no figures.
OPEN = frozenset(("/healthz", "/readyz", "/metrics", "/pools", *PAGE))

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class Subject(Protocol):
    """What the admin listener shows and steers."""

    def health(self) -> dict[str, Any]:
        """``status`` (starting, ready, degraded, draining, down) and the workers."""

    def config(self) -> dict[str, Any]:
        """The running configuration as plain values."""

    def hosts(self) -> Collection[str]:
        """Names it may be asked by beside localhost and addresses, in lower case."""

    def token(self) -> str | None:
        """What Authorization must bear for orders and the configuration; None: this machine alone may. Raises
        ValueError if there should be one and is none."""

    async def metrics(self) -> Dump:
        """The sum over workers."""

    async def pools(self) -> list[dict[str, Any]]:
        """Each worker's view of the pools."""

    async def stats(self) -> dict[str, Any]:
        """What the live page shows."""

    async def purge(self, purges: list[Purge]) -> tuple[int, list[str]]:
        """Entries of all workers' memory that these were about, and what went wrong."""

    async def drain(self, pool: str, endpoint: str, *, undo: bool) -> list[str]:
        """What went wrong with having an endpoint drained, or used again. Raises ValueError if there is none."""

    async def reload(self) -> list[str]:
        """Errors; none if the configuration in the file is now the running one."""


class Admin:
    """The listener, from :meth:`serve` to :meth:`close`."""

    def __init__(self, subject: Subject) -> None:
        self._subject = subject
        self._runner: web.AppRunner | None = None
        self._path = ""

    async def serve(self, sock: socket.socket) -> None:
        """Answer on a listening socket, which is closed with the listener."""
        self._path = sock.getsockname() if sock.family == socket.AF_UNIX else ""
        self._runner = web.AppRunner(self._application(), handle_signals=False, access_log=None, shutdown_timeout=1.0)
        await self._runner.setup()
        await web.SockSite(self._runner, sock).start()

    async def close(self) -> None:
        runner, self._runner = self._runner, None
        if runner is not None:
            await runner.cleanup()
            if self._path:
                remove_file(self._path)

    def _application(self) -> web.Application:
        app = web.Application(client_max_size=LARGEST_BODY, middlewares=[_errors_as_json, self._guard])
        app.router.add_get("/healthz", self._healthz)
        app.router.add_get("/readyz", self._readyz)
        app.router.add_get("/metrics", self._metrics)
        app.router.add_get("/config", self._config)
        app.router.add_get("/pools", self._pools)
        app.router.add_get("/stats", self._stats)
        for path, file in PAGE.items():
            app.router.add_get(path, _served(file))
        app.router.add_post("/purge", self._purge)
        app.router.add_post("/pools/drain", self._drain)
        app.router.add_post("/pools/undrain", self._drain)
        app.router.add_post("/reload", self._reload)
        return app

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Only names that no foreign DNS entry can point here: an address, localhost, and those configured."""
        if not _is_own_name(request.headers.get(hdrs.HOST, ""), self._subject.hosts()):
            raise web.HTTPMisdirectedRequest(text="ask by IP address, as localhost, or by a name in admin.hosts")
        if request.path not in OPEN:
            _authorize(request, self._token())
        return await handler(request)

    def _token(self) -> str | None:
        try:
            return self._subject.token()
        except ValueError as error:
            raise web.HTTPServiceUnavailable(text=str(error)) from None

    async def _healthz(self, _: web.Request) -> web.Response:
        health = self._subject.health()
        return _json(health, 503 if health["status"] == "down" else 200)

    async def _readyz(self, _: web.Request) -> web.Response:
        health = self._subject.health()
        return _json(health, 200 if health["status"] in {"ready", "degraded"} else 503)

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(
            body=render(await self._subject.metrics()), headers={"Content-Type": PROMETHEUS, **NO_STORE}
        )

    async def _config(self, request: web.Request) -> web.Response:
        config = masked(self._subject.config())
        if _prefers_json(request):
            return _json(config)
        text = yaml.safe_dump(config, sort_keys=False, allow_unicode=True)
        return web.Response(text=text, content_type="application/yaml", headers=NO_STORE)

    async def _pools(self, _: web.Request) -> web.Response:
        return _json({"workers": await self._subject.pools()})

    async def _stats(self, _: web.Request) -> web.Response:
        return _json(await self._subject.stats())

    async def _purge(self, request: web.Request) -> web.Response:
        try:
            purges = purges_of(await _order(request), time.time())
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        purged, errors = await self._subject.purge(purges)
        return _json({"purged": purged, "errors": errors} if errors else {"purged": purged}, 502 if errors else 200)

    async def _drain(self, request: web.Request) -> web.Response:
        undo = request.path == "/pools/undrain"
        try:
            pool, endpoint = endpoint_of(await _order(request))
            errors = await self._subject.drain(pool, endpoint, undo=undo)
        except ValueError as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        return _json({"draining": not undo, "errors": errors}, 502 if errors else 200)

    async def _reload(self, request: web.Request) -> web.Response:
        await _order(request)
        errors = await self._subject.reload()
        return _json({"reloaded": not errors, "errors": errors}, 422 if errors else 200)


def _served(file: PageFile) -> Handler:
    async def serve(_: web.Request) -> web.Response:
        return web.Response(body=file.body, headers=file.headers)

    return serve


async def _order(request: web.Request) -> dict[str, Any]:
    """A POST's body, a JSON object; nothing stands for an empty one."""
    if request.content_type != "application/json":
        raise web.HTTPUnsupportedMediaType(text="the body must be application/json")
    body = await request.read()
    try:
        order = json.loads(body or b"{}")
    except ValueError:
        order = None
    if not isinstance(order, dict):
        raise web.HTTPBadRequest(text="the body must be a JSON object")
    return order


def _authorize(request: web.Request, token: str | None) -> None:
    """Raises HTTPUnauthorized or HTTPForbidden."""
    if token is None:
        if request.transport is None or not _is_local(request.transport.get_extra_info("peername")):
            raise web.HTTPForbidden(text="only this machine may ask for that; set admin.token to ask from elsewhere")
        return
    scheme, _, given = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    if scheme.lower() != "bearer" or not hmac.compare_digest(
        given.strip().encode(errors="surrogateescape"), token.encode()
    ):
        challenge = {hdrs.WWW_AUTHENTICATE: 'Bearer realm="edgeproxy"'}  # RFC 6750 §3
        raise web.HTTPUnauthorized(
            text="this takes the token of admin.token: Authorization: Bearer …", headers=challenge
        )


def _is_local(peer: Any) -> bool:
    """Whether a connection came from this machine: over loopback or a Unix socket."""
    if not isinstance(peer, tuple):
        return True
    address = ipaddress.ip_address(peer[0])
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return (mapped or address).is_loopback


@web.middleware
async def _errors_as_json(request: web.Request, handler: Handler) -> web.StreamResponse:
    try:
        return await handler(request)
    except web.HTTPException as error:
        further = {
            str(name): error.headers[name] for name in (hdrs.ALLOW, hdrs.WWW_AUTHENTICATE) if name in error.headers
        }
        return _json({"error": error.text or error.reason}, error.status, further)


def _is_own_name(host: str, further: Collection[str]) -> bool:
    try:
        name = urlsplit(f"//{host}").hostname or ""
        if name in {"", "localhost"} or name.removesuffix(".") in further:
            return True
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


def _prefers_json(request: web.Request) -> bool:
    return "application/json" in [
        part.partition(";")[0].strip() for part in request.headers.get(hdrs.ACCEPT, "").split(",")
    ]


def _json(value: Any, status: int = 200, headers: dict[str, str] | None = None) -> web.Response:
    text = json.dumps(value, ensure_ascii=False) + "\n"
    return web.Response(
        text=text, status=status, content_type="application/json", headers={**NO_STORE, **(headers or {})}
    )
