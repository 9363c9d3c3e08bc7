"""Who publishes a list: an application that counts how it is asked, and whose answers can be changed."""

from __future__ import annotations

from aiohttp import web

from edgeproxy.feeds.store import digest_of


class Publisher:
    """Serves ``content`` at ``/list`` with validators, and answers conditional requests as RFC 9110 §13 has it."""

    def __init__(self, content: bytes = b"192.0.2.0/24\n") -> None:
        self.content = content
        self.status = 200
        self.answered: list[int] = []
        self.validated = True

    async def handle(self, request: web.Request) -> web.Response:
        etag = f'"{digest_of(self.content)}"'
        status = self.status
        if status == 200 and request.headers.get("if-none-match") == etag:
            status = 304
        self.answered.append(status)
        fields = {"etag": etag, "last-modified": "Mon, 01 Jan 2024 00:00:00 GMT"} if self.validated else {}
        if status in (301, 302):
            fields["location"] = "/elsewhere"
        return web.Response(status=status, body=self.content if status == 200 else b"", headers=fields)

    def app(self) -> web.Application:
        app = web.Application()
        app.router.add_get("/list", self.handle)
        return app
