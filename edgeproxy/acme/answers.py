"""How workers answer HTTP-01 (RFC 8555 §8.3): what an authority asks for lies in the folder, for as long as it is asked
for.

It is a route of its own, beside those of the configuration: no redirect, limit or check of theirs stands before it. A
path that names nothing in the folder goes on as any other.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from edgeproxy.config.snapshot import Route
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.http.message import Request, Response
from edgeproxy.pipeline.chain import Chain
from edgeproxy.pipeline.exchange import Exchange

PREFIX: Final = b"/.well-known/acme-challenge/"
LONGEST: Final = 1_024  # bytes of an answer

_TOKEN: Final = re.compile(rb"[A-Za-z0-9_-]{22,256}")
_METHODS: Final = frozenset((b"GET", b"HEAD"))


class Answers:
    """The origin of that route; ``chain`` is what such an exchange passes."""

    name = "acme"

    def __init__(self, folder: Path, chain: Chain) -> None:
        self._folder = folder / "challenges" / "http"
        self._route = Route(self.name, chain, self)

    def route(self, request: Request) -> Route | None:
        """The route that answers a request, None if there is nothing to answer it with."""
        if request.path.startswith(PREFIX) and request.method in _METHODS and self._read(request.path) is not None:
            return self._route
        return None

    async def fetch(self, x: Exchange) -> Response:
        content = self._read(x.request.path)
        if content is None:
            raise EdgeError(Kind.NO_ROUTE, "edge")
        return Response(200, {b"content-type": b"application/octet-stream", b"cache-control": b"no-store"}, content)

    def _read(self, path: bytes) -> bytes | None:
        """A file of a few dozen bytes, under a name that leads nowhere else."""
        token = path[len(PREFIX) :]
        if not _TOKEN.fullmatch(token):
            return None
        try:
            with (self._folder / token.decode("ascii")).open("rb") as file:
                return file.read(LONGEST)
        except OSError:
            return None

    def __repr__(self) -> str:
        return f"<Answers {self._folder}>"
