"""Tells browsers what a page will need while the origin still makes it (103 Early Hints, RFC 8297)."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from edgeproxy.config.fields import FieldValue
from edgeproxy.config.values import Many
from edgeproxy.hints.audience import is_for_everybody, takes_hints
from edgeproxy.hints.learned import Learned
from edgeproxy.hints.page import MOST, is_hint, of_page
from edgeproxy.http.links import parse_links
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.interim import EARLY_HINTS
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

# A page that was learned of and is answered like this, to somebody alone, says nothing any more of what it links to.
_ENDS = frozenset((200, 301, 302, 303, 307, 308, 401, 403, 404, 410))
_UNCHANGED = frozenset((b"collapsed", b"fwd-status=304", b"hit"))


def _link(value: str) -> str:
    links = parse_links(value.encode())
    if [link.text.decode() for link in links] != [value.strip()] or not is_hint(links[0]):
        raise ValueError(
            f"{value!r} is no link that browsers follow early; write it like '</style.css>; rel=preload; as=style' or "
            f"'<https://cdn.example.com>; rel=preconnect'"
        )
    return value.strip()


class EarlyHints(Middleware):
    """Send 103 Early Hints on the way to a page that has to come from the origin: the links of `links`, and those the
    page had when it was last in the cache. Browsers then load its styles and scripts while the origin still works.

    To browsers on their way to a page (`Sec-Fetch-Mode: navigate`), over HTTP/2 and HTTP/3. Learned is from `Link:
    rel=preload`, `modulepreload` and `preconnect` of pages that the cache may give to everybody, with the policies
    (`Content-Security-Policy`, `Referrer-Policy`) that they are loaded under; it ends with the page's links, and when
    it is purged. A hit in memory or on disk needs no hints and gets none; one in L3 is waited for like the origin. What
    the origin itself sends as 103 is passed on with or without this stage. `edgeproxy_early_hints_total` counts what is
    sent.
    """

    name = "early_hints"

    class Config(MiddlewareConfig):
        links: Annotated[tuple[Annotated[FieldValue, AfterValidator(_link)], ...], Many, Field(max_length=MOST)] = ()
        """Links told on the way to every page of the route, as `Link` has them, 16 at most: `</style.css>; rel=preload;
        as=style`, `<https://cdn.example.com>; rel=preconnect`. Whoever may ask for the page sees them before the origin
        has said whether it may be had: name nothing secret."""

        learn: bool = True
        """Whether to learn from pages what they load, of up to 4096 a worker."""

        http1: bool = False
        """Whether HTTP/1.1 clients are told too. Browsers do nothing with it there, and an old client or proxy that
        takes the 103 for the answer mixes up what follows (RFC 8297 §3): for clients that are known to read it."""

    config: Config

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._links = [link.encode() for link in config.links]
        self._learned = Learned(services.cache.purges.allows, services.clock.wall)
        self._sent = services.metrics.counter(
            "edgeproxy_early_hints_total",
            "Early hints sent before the origin had answered, by whose they are.",
            ("by",),
        )

    def uses(self, phase: str) -> bool:
        return self.config.mode == "enforce" and (phase != "log" or self.config.learn)

    async def request(self, x: Exchange) -> None:
        """Behind the cache, so that what comes here has to be waited for. Asynchronous: interim answers have their way
        from there on."""
        if x.interim is None or not takes_hints(x, http1=self.config.http1):
            return
        learned = self._learned.of(x.key) if x.key else {}
        if not (self._links or learned):
            return
        links = [*self._links, learned[b"link"]] if learned else self._links
        x.interim(EARLY_HINTS, learned | {b"link": b", ".join(links)})
        if self._links:
            self._sent.inc("config")
        if learned:
            self._sent.inc("page")

    def log(self, x: Exchange) -> None:
        """The answer is out; what is done here makes nobody wait but the next event."""
        response = x.response
        if response is None or not x.key or x.request.method != b"GET":
            return
        link = response.get(b"link")
        if x.verdict == b"hit" and (link is None or self._learned.knows(x.key, link)):
            return  # learned or forgotten when it came
        if is_for_everybody(x, response):
            resource = self.services.cache.memory.resources.get(x.key)
            entry = None if resource is None else resource.selected(x.request.headers)
            if link is None or entry is None:  # without an entry its tags are not known, nor whether it was purged
                self._learned.forget(x.key)
            else:
                self._learned.learn(x.key, link, of_page(response), entry.tags)
        elif response.status in _ENDS and _UNCHANGED.isdisjoint(x.verdict.split(b"; ")):
            self._learned.forget(x.key)
