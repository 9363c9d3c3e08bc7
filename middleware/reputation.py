"""Knows addresses of bad repute, from feeds."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from ipaddress import ip_network
from typing import Annotated, Literal, Self
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, model_validator

from edgeproxy.config.units import Cidr, Duration
from edgeproxy.config.values import File, FolderPath, Many, Name, is_protected, writable
from edgeproxy.feeds.feed import Feed, FileFeed, Reading, UrlFeed
from edgeproxy.feeds.judge import ACTIONS, Judge, Listed
from edgeproxy.feeds.parse import Broadest
from edgeproxy.http.addresses import AddressSet
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

# Private, loopback and link-local networks (RFC 1918, 4193, 4291, 3927): lists of bogons have them, and mean others.
PRIVATE = tuple(
    ip_network(text)
    for text in (
        *("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "127.0.0.0/8", "169.254.0.0/16"),
        *("fc00::/7", "fe80::/10", "::1/128"),
    )
)


def _feed_url(text: str) -> str:
    try:
        url = urlsplit(text)
        usable = url.scheme in ("https", "http") and url.hostname and "@" not in url.netloc
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("not a URL like https://www.spamhaus.org/drop/drop_v4.json")
    return text


class FeedConfig(BaseModel):
    """One list of networks, at a URL or in a file."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True, defer_build=True)

    name: Name
    """What it is called in rules, metrics and the log."""

    url: Annotated[str, AfterValidator(_feed_url)] | None = None
    """Where it is published: `https://www.spamhaus.org/drop/drop_v4.json`. https, except on loopback. It is asked for
    with validators, and no redirect is followed."""

    file: File | None = None
    """A file with it, read again within seconds of a change."""

    format: Literal["auto", "ndjson", "list"] = "auto"
    """`ndjson`: a JSON object with `cidr` a line (Spamhaus DROP). `list`: an address or network a line, comments behind
    `#` or `;` (FireHOL's netsets and ipsets, plain lists). `auto` goes by the first line."""

    refresh: Duration = Field(default=86_400, ge=3_600, le=2_592_000)
    """How often the URL is asked: 1h to 30d, by one worker for all. Spamhaus wants no more than once a day."""

    action: Literal["tag", "limit", "challenge", "refuse"] = "refuse"
    """What becomes of a client in it: `tag` only marks it for rules and the log, `limit` and `challenge` hand it to
    `rate_limit` and `challenge`, `refuse` answers 403. Of several feeds the strongest counts."""

    broadest_ipv4: int = Field(default=8, ge=1, le=32)
    """Networks with a shorter prefix are skipped: nobody lists a sixteenth of the internet but by mistake."""

    broadest_ipv6: int = Field(default=16, ge=1, le=128)
    """The same for IPv6."""

    allow_http: bool = False
    """Accept an http `url` elsewhere. Whoever is on that path can then shut clients out."""

    @model_validator(mode="after")
    def _one_source(self) -> Self:
        if (self.url is None) == (self.file is None):
            raise ValueError("a feed has either url or file")
        if self.url is not None and not self.allow_http and not is_protected(self.url):
            raise ValueError("url must be https, or allow_http true if the way there is trusted")
        return self


class Reputation(Middleware):
    """Look clients up in lists of networks that others publish: Spamhaus DROP, FireHOL, your own.

    A list is believed as a whole or not at all: one of which more than a tenth cannot be read, or which has lost nine
    tenths of its networks since the last time, is refused, and the one there was stays; it also stays while its source
    is away. Until a feed's first list is there, it lets everybody pass. At most 32 MB and 1,000,000 networks a feed;
    an IPv4 network takes 10 bytes a worker, an IPv6 one 110. `edgeproxy_feed_networks`, `edgeproxy_feed_age_seconds`
    (since the source last confirmed the list), `edgeproxy_feed_refresh_total` and `edgeproxy_feed_matches_total` tell
    how each fares. With `mode: observe` clients are marked and counted, and nothing else is done with them.
    """

    name = "reputation"

    class Config(MiddlewareConfig):
        feeds: tuple[FeedConfig, ...] = Field(min_length=1, max_length=32)
        """The lists."""

        except_: Annotated[tuple[Cidr, ...], Many] = Field(default=PRIVATE, alias="except")
        """Addresses and networks for which no feed counts: your offices, your monitoring. Not given: private, loopback
        and link-local ones, which lists of bogons name."""

        folder: FolderPath | None = None
        """A folder in which fetched lists outlast a restart. Not given: in memory, as long as the node runs."""

        @model_validator(mode="after")
        def _names_differ(self) -> Self:
            names = [feed.name for feed in self.feeds]
            if len(set(names)) < len(names):
                raise ValueError("feeds: two of them have the same name")
            return self

    request: Callable[[Exchange], Response | None]

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        metrics = services.metrics
        self._outcomes = metrics.counter(
            "edgeproxy_feed_refresh_total", "Attempts to have newer lists.", ("feed", "outcome")
        )
        self._matches = metrics.counter(
            "edgeproxy_feed_matches_total", "Requests of clients that are in a feed.", ("feed",)
        )
        self._refused = metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))
        listed = [Listed(feed.name, ACTIONS.index(feed.action)) for feed in config.feeds]
        spared = AddressSet(config.except_)
        self._judge = Judge(listed, spared, self._count, self._refuse, treats=config.mode == "enforce")
        self.request = self._judge.check
        self._folder = services.folder if config.folder is None else writable(config.folder, "folder")
        feeds = [self._feed(*pair) for pair in zip(config.feeds, listed, strict=True)]
        self._feeds = [feed for feed in feeds if feed is not None]
        metrics.gauge("edgeproxy_feed_networks", "Networks in each feed.", ("feed",), self._networks, merge="max")
        about = "Time since the feed's source last confirmed its list."
        metrics.gauge("edgeproxy_feed_age_seconds", about, ("feed",), self._ages, merge="max")

    async def start(self) -> None:
        await asyncio.gather(*(feed.start() for feed in self._feeds))

    async def stop(self) -> None:
        await asyncio.gather(*(feed.stop() for feed in self._feeds))

    def _feed(self, config: FeedConfig, listed: Listed) -> Feed | None:
        broadest = Broadest(config.broadest_ipv4, config.broadest_ipv6)
        clock, http = self.services.clock, self.services.http
        reading = Reading(listed, config.format, broadest, clock, self._judge.forget, self._outcomes.inc)
        if config.file is not None:
            return FileFeed(reading, config.file)
        if config.url is None or self._folder is None:  # a trial: nothing will be fetched
            return None
        return UrlFeed(reading, config.url, config.refresh, self._folder, http)

    def _count(self, feeds: tuple[str, ...]) -> None:
        for name in feeds:
            self._matches.inc(name)

    def _refuse(self) -> Response:
        self._refused.inc(self.name)
        headers = {b"content-type": b"text/plain; charset=utf-8", b"cache-control": b"no-store"}
        return Response(403, headers, b"403 This address is known for abuse.\n")

    def _networks(self) -> Iterable[tuple[tuple[str, ...], float]]:
        return [((feed.name,), feed.networks) for feed in self._feeds]

    def _ages(self) -> Iterable[tuple[tuple[str, ...], float]]:
        now = self.services.clock.wall()
        return [((feed.name,), now - feed.confirmed) for feed in self._feeds if feed.confirmed is not None]
