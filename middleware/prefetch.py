"""Fetches what a page will need next before somebody asks."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import urljoin, urlsplit

from pydantic import Field

from edgeproxy.cache.followers import Followers
from edgeproxy.config.units import Rate, RateValue, Share
from edgeproxy.errors import EdgeError
from edgeproxy.http.links import parse_links
from edgeproxy.http.message import Request
from edgeproxy.http.target import parse_target
from edgeproxy.limits.gcra import Limiter
from edgeproxy.pipeline.aside import bring, is_missing
from edgeproxy.pipeline.exchange import Exchange, Peer
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services
from edgeproxy.pipeline.runner import report

AGAIN = 10.0  # seconds in which a page is looked at once
MOST_PAGES = 4_096  # remembered for that
QUEUE = 256  # requests that wait; more are dropped

_RELATIONS = frozenset((b"preload", b"prefetch"))
_NOBODY = Peer("", 0, "", "", None)
_ONE = b""  # the limiter's only key

# What may go along of a page's request, since variants are told apart by it: never a cookie or a credential.
_SENT = (b"accept-encoding", b"accept-language", b"user-agent")


class Prefetch(Middleware):
    """Fetch into the cache what `Link: rel=preload` and `rel=prefetch` of a stored page name, and what usually followed
    that page before (learned from Referer): of the page's own origin, by GET, without cookies or credentials, when the
    answer is out. Each request goes through the stages of its own route, as one of no client's (no address, not logged,
    one key for `rate_limit`), with `Sec-Purpose: prefetch`. Only what may be stored is fetched whole.
    `edgeproxy_prefetch_total` counts the outcomes.
    """

    name = "prefetch"

    class Config(MiddlewareConfig):
        links: bool = True
        """Whether `Link` fields are followed."""

        learn: bool = True
        """Whether to learn what follows what, in at most 4096 pages with 16 followers each. Only answers that all may
        have are learned of."""

        share: Annotated[Share, Field(ge=0.01)] = 0.2
        """How much of a page's views something must have followed, three times at least, to be fetched."""

        rate: Rate = RateValue(10, 1)
        """How many requests may be made in the long run, a worker and route; what is over is dropped."""

        concurrency: int = Field(default=4, ge=1, le=64)
        """How many may be under way at once."""

    config: Config

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._followers = Followers()
        self._limiter = Limiter(config.rate.period / config.rate.count, max(1.0, config.rate.count), 1)
        self._due: dict[bytes, float] = {}
        self._queue: deque[Request] = deque()
        self._running = 0
        self._outcomes = services.metrics.counter(
            "edgeproxy_prefetch_total", "Requests made before somebody asked, by what became of them.", ("outcome",)
        )

    async def stop(self) -> None:
        self._queue.clear()

    def uses(self, phase: str) -> bool:
        return self.config.mode == "enforce"

    def log(self, x: Exchange) -> None:
        """The answer is out; what is done here makes nobody wait but the next event."""
        request = x.request
        headers = request.headers
        if request.method != b"GET" or x.status != 200 or x.claims is not None or b"authorization" in headers:
            return
        if not {b"hit", b"stored"} & set(x.verdict.split(b"; ")):
            return  # not for everybody
        site = b"%b://%b" % (request.scheme, request.authority)
        page = site + request.target
        if self.config.learn:
            referer = headers.get(b"referer", b"").partition(b"#")[0]
            if referer.startswith(site + b"/") and referer != page:
                self._followers.followed(referer, request.target)
        response = x.response
        if response is None or not _is_page(response.get(b"content-type", b"") or b""):
            return
        if self.config.learn:
            self._followers.visited(page)
        if self._is_due(page):
            targets = dict.fromkeys(_linked(response.get(b"link"), page, site) if self.config.links else ())
            targets |= dict.fromkeys(self._followers.likely(page, self.config.share) if self.config.learn else ())
            for target in targets:
                self._want(request, target)

    def _is_due(self, page: bytes) -> bool:
        now = self.services.clock.monotonic()
        if now < self._due.get(page, 0.0):
            return False
        if len(self._due) >= MOST_PAGES:
            self._due.clear()
        self._due[page] = now + AGAIN
        return True

    def _want(self, page: Request, target: bytes) -> None:
        if len(self._queue) >= QUEUE:
            self._outcomes.inc("dropped")
            return
        try:
            whole, path, query = parse_target(target)
        except EdgeError:
            return
        fields = {name: page.headers[name] for name in _SENT if name in page.headers}
        fields |= {b"host": page.authority, b"accept": b"*/*", b"sec-purpose": b"prefetch"}
        self._queue.append(
            Request(b"GET", whole, fields, page.scheme, page.authority, page.host, path, query, page.version)
        )
        if self._running < self.config.concurrency:
            self._running += 1
            self.services.cache.spawn(self._work())

    async def _work(self) -> None:
        try:
            while self._queue:
                self._outcomes.inc(await self._fetch(self._queue.popleft()))
        finally:
            self._running -= 1

    async def _fetch(self, request: Request) -> str:
        """What became of it."""
        now = self.services.clock.monotonic()
        route = self.services.route(request)
        if route is None:
            return "dropped"
        x = Exchange(request, _NOBODY, now)
        x.route = route
        try:
            if not await is_missing(x):
                return "present" if b"hit" in x.verdict.split(b"; ") else "passed"
            if self._limiter.take(_ONE, now) < 0:
                return "dropped"
            return "fetched" if await bring(x) else "passed"
        except EdgeError:
            return "failed"
        except Exception as error:  # noqa: BLE001 -- a stage's fault ends this request alone
            report(error)
            return "failed"


def _linked(value: bytes | None, page: bytes, site: bytes) -> Iterator[bytes]:
    """The targets that a Link field names on the page's own origin, without their fragments."""
    base = page.decode("latin-1")
    for link in parse_links(value or b""):
        if link.relations & _RELATIONS:
            try:
                url = urlsplit(urljoin(base, link.target.decode("latin-1")))
            except ValueError:
                continue
            found = f"{url.scheme}://{url.netloc}".lower().encode("latin-1")
            if found == site and url.path:
                yield (url.path + (f"?{url.query}" if url.query else "")).encode("latin-1")


def _is_page(content_type: bytes) -> bool:
    return content_type.partition(b";")[0].strip().lower() in {b"text/html", b"application/xhtml+xml"}
