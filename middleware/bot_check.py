"""Tells browsers, crawlers and tools apart by what they say and how they say it."""

from __future__ import annotations

import re
from typing import Annotated, Literal, NamedTuple

from pydantic import AfterValidator, Field

from edgeproxy.config.values import Many
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo
from edgeproxy.pipeline.middleware import Middleware, MiddlewareConfig, Services

Class = Literal["browser", "crawler", "tool", "suspect"]

# Product names as their makers document them for User-Agent, lower case. Crawlers: the makers' crawler help pages.
CRAWLERS: tuple[str, ...] = (
    *("googlebot", "google-extended", "googleother", "adsbot-google", "bingbot", "applebot", "duckduckbot"),
    *("yandexbot", "baiduspider", "petalbot", "sogou web spider", "amazonbot", "ia_archiver", "archive.org_bot"),
    *("gptbot", "oai-searchbot", "claudebot", "perplexitybot", "ccbot", "bytespider", "meta-externalagent"),
    *(
        "facebookexternalhit",
        "twitterbot",
        "linkedinbot",
        "slackbot",
        "discordbot",
        "ahrefsbot",
        "semrushbot",
        "mj12bot",
    ),
)
# Tools: the default agent of the program or library itself.
TOOLS: tuple[str, ...] = (
    *(
        "curl",
        "wget",
        "httpie",
        "postmanruntime",
        "python-requests",
        "python-urllib",
        "python-httpx",
        "aiohttp",
        "scrapy",
    ),
    *(
        "go-http-client",
        "okhttp",
        "apache-httpclient",
        "java",
        "axios",
        "node-fetch",
        "undici",
        "guzzlehttp",
        "libwww-perl",
    ),
    *("headlesschrome", "phantomjs", "electron", "apachebench", "k6", "sqlmap", "nikto", "nuclei", "zgrab", "masscan"),
)

# A name counts where a product may stand (RFC 9110 §10.1.5): at the start, or after a space, ";", "(" or "/".
_NAMED = re.compile(
    rb"(?:^|[ ;(/])(?:(%b)|(%b))(?![a-z0-9-])"
    % tuple(b"|".join(re.escape(name.encode()) for name in names) for names in (CRAWLERS, TOOLS))
)
_BROWSER = re.compile(rb"mozilla/5\.0 \(.+?\) .*(?:chrome|crios|firefox|fxios|safari|edg|opr)/[0-9]")
_CHROME = re.compile(rb" chrome/([0-9]+)\.")
_FETCH_METADATA_SINCE = 80  # Chrome sends Sec-Fetch-* since this version, to https only, and not with WebSockets
_LONGEST = 1024  # bytes; browsers stay under 500


def _known(name: str) -> str:
    if name.lower() not in CRAWLERS + TOOLS:
        raise ValueError(f"{name!r} is no known agent; known are {', '.join(sorted(CRAWLERS + TOOLS))}")
    return name.lower()


class _Verdict(NamedTuple):
    """What the agent alone says: its class, the crawler's or tool's name, and whether it sends Sec-Fetch-*."""

    kind: str
    named: str = ""
    fetch_metadata: bool = False


class BotCheck(Middleware):
    """Class every request as `browser`, `crawler`, `tool`, `suspect` or nothing known, for the log and other stages;
    refuse the classes you name.

    `suspect` is an empty or endless agent, and a browser's agent without the fields that browser always sends. Names
    are taken at their word: whoever calls itself Googlebot is a crawler here, its address is not verified.
    """

    name = "bot_check"
    default_on = True

    class Config(MiddlewareConfig):
        deny: Annotated[tuple[Class, ...], Many] = ()
        """Classes that get 403. `/robots.txt` stays open, so that crawlers can learn that they are not welcome."""

        welcome: Annotated[tuple[Annotated[str, AfterValidator(_known)], ...], Many] = ()
        """Crawlers and tools let in although their class is denied, by name: `googlebot`, `curl`."""

        signs: int = Field(default=2, ge=1, le=3)
        """How many of a browser's usual fields must be missing (Accept-Language, Accept-Encoding, and over https
        Sec-Fetch-Site from Chrome) to make it `suspect`. 1 also catches privacy tools that strip one."""

    def __init__(self, config: Config, services: Services) -> None:
        super().__init__(config, services)
        self._agents: Memo[bytes, _Verdict] = Memo(judge, 16_384, longest=_LONGEST)
        self._signs = config.signs
        self._deny = frozenset(config.deny)
        self._welcome = frozenset(config.welcome)
        self._refused = services.metrics.counter("edgeproxy_refused_total", "Requests that stages refused.", ("stage",))

    def request(self, x: Exchange) -> Response | None:
        headers = x.request.headers
        kind, named, fetch_metadata = self._agents[headers.get(b"user-agent", b"")]
        if kind == "browser":
            missing = 0
            if b"accept-language" not in headers:
                missing = 1
            if b"accept-encoding" not in headers:
                missing += 1
            if fetch_metadata and b"sec-fetch-site" not in headers and _expects_metadata(x):
                missing += 1
            if missing >= self._signs:
                kind = "suspect"
        x.bot = kind
        if kind in self._deny and named not in self._welcome and x.request.path != b"/robots.txt":
            return self._refuse()
        return None

    def _refuse(self) -> Response:
        self._refused.inc(self.name)
        headers = {b"content-type": b"text/plain; charset=utf-8", b"cache-control": b"no-store"}
        return Response(403, headers, b"403 Automated requests are not served here.\n")


def judge(agent: bytes) -> _Verdict:
    """What an agent (the field's value, b"" if there is none) says by itself."""
    agent = agent.strip().lower()
    if not agent or len(agent) > _LONGEST:
        return _Verdict("suspect")
    named = _NAMED.search(agent)
    if named is not None:
        return _Verdict("crawler" if named[1] else "tool", (named[1] or named[2]).decode())
    if _BROWSER.match(agent) is None:
        return _Verdict("")
    chrome = _CHROME.search(agent)
    return _Verdict("browser", "", chrome is not None and int(chrome[1][:4]) >= _FETCH_METADATA_SINCE)


def _expects_metadata(x: Exchange) -> bool:
    return x.request.scheme == b"https" and b"upgrade" not in x.request.headers
