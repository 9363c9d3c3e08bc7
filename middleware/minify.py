"""Makes HTML, CSS, JavaScript and SVG smaller."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, Literal

from pydantic import Field

from edgeproxy.compression.minifiable import is_plain, kind_of, may_change, names_hashes
from edgeproxy.compression.minifier import Minifier, MinifyError
from edgeproxy.config.units import Duration, Size
from edgeproxy.config.values import Many
from edgeproxy.errors import EdgeError
from edgeproxy.http.body import Body, Continued
from edgeproxy.http.conditional import is_strong
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

Kind = Literal["html", "css", "js", "svg", "json"]


class Minify(Middleware):
    """Take out of HTML, CSS, JavaScript and SVG what browsers do not need: white space and comments, before they are
    kept.

    No name is changed; comments in HTML and those that begin with `/*!` stay, of white space one character. What is not
    kept by the cache passes as it is, and so does what is compressed already, marked `no-transform`, in another
    encoding than UTF-8, with a digest, a source map or a licence that must stay, and a page whose policy names hashes.
    What fails, or takes too long, is kept as it came. Leave out scripts and style sheets that pages name with an
    `integrity`, and pages whose white space is shown by a style (`white-space: pre`).
    """

    name = "minify"

    class Config(MiddlewareConfig):
        types: Annotated[tuple[Kind, ...], Many, Field(min_length=1)] = ("html", "css", "js", "svg")
        """What is made smaller: `html`, `css`, `js`, `svg`, `json`."""

        min_size: Annotated[Size, Field(ge=0)] = 256
        """Shorter texts are left alone."""

        max_size: Annotated[Size, Field(ge=1024, le=10_000_000)] = 1_000_000
        """Longer texts are left alone: 1KiB to 10MB. A text that comes piece by piece is held up to here."""

        time: Annotated[Duration, Field(ge=0.01, le=60)] = 2
        """How long a text may be waited for, and how long it may take then, 10ms to 1m. What is not done by then is
        kept as it came."""

        queue: Annotated[int, Field(ge=1, le=1024)] = 32
        """How many texts may be in hand. More are kept as they came."""

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._kinds: Memo[bytes, str] = Memo(partial(kind_of, kinds=frozenset(config.types)), 512, longest=128)
        self._smallest, self._largest, self._seconds = config.min_size, config.max_size, config.time
        self._minifier = Minifier(config.time, config.queue)
        metrics = services.metrics
        self._count = metrics.counter("edgeproxy_minified_total", "Texts made smaller, by type.", ("type",))
        self._saved = metrics.counter("edgeproxy_minified_bytes_total", "Bytes taken out of them.", ("type",))
        self._declined = metrics.counter(
            "edgeproxy_minify_declined_total", "Texts kept as they came, by reason.", ("reason",)
        )
        metrics.gauge("edgeproxy_minifying", "Texts in hand.", (), self._load)

    def misses(self, beside: Mapping[str, Middleware]) -> str:
        headers = beside.get("security_headers")
        if headers is None or "html" not in self.config.types:
            return ""
        policies = (headers.config.csp or "", headers.config.csp_report_only or "")
        if not any(names_hashes(policy.encode()) for policy in policies):
            return ""
        return "types: html changes inline scripts and styles, which the csp of security_headers names by their hashes"

    async def stop(self) -> None:
        await self._minifier.stop()

    async def store(self, x: Exchange, response: Response) -> None:
        told = response.get(b"content-type")
        kind = "" if told is None else self._kinds[told]
        if not kind or response.filters or not may_change(response, kind):
            return
        if not isinstance(response.body, bytes):
            response.body = await self._whole(response.body)
        text = response.body
        if not isinstance(text, bytes) or not self._smallest <= len(text) <= self._largest or not is_plain(text, kind):
            return
        try:
            smaller = await self._minifier.minify(kind, text)
        except MinifyError as error:
            self._declined.inc(error.reason)
            return
        if len(smaller) < len(text):
            response.body = smaller
            response.drop(b"content-length")
            etag = response.get(b"etag")
            if etag is not None and is_strong(etag):  # its bytes are others than the origin's
                response.set(b"etag", b"W/" + etag)
            self._count.inc(kind)
            self._saved.inc(kind, by=len(text) - len(smaller))

    async def _whole(self, body: Body) -> bytes | Body:
        """All of a body, if it is neither too long nor too slow; else a body that begins with what has come."""
        if body.length is not None and body.length > self._largest:
            return body
        text = b""
        try:
            async with asyncio.timeout(self._seconds):
                while len(text) <= self._largest:
                    chunk = await body.read()
                    if not chunk:
                        return text
                    text += chunk
        except (TimeoutError, EdgeError):
            pass  # who reads on meets the error again
        begun = Continued(text, body)
        begun.length = body.length
        return begun

    def _load(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [((), self._minifier.in_hand)]
