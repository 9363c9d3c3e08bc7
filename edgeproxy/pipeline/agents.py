"""Browsers, crawlers and tools, told apart by what they say and how they say it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo

# Product names as their makers document them for User-Agent, lower case. Crawlers: the makers' crawler help pages.
CRAWLERS: Final[tuple[str, ...]] = (
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
TOOLS: Final[tuple[str, ...]] = (
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
_NAMED: Final = re.compile(
    rb"(?:^|[ ;(/])(?:(%b)|(%b))(?![a-z0-9-])"
    % tuple(b"|".join(re.escape(name.encode()) for name in names) for names in (CRAWLERS, TOOLS))
)
_BROWSER: Final = re.compile(rb"mozilla/5\.0 \(.+?\) .*(?:chrome|crios|firefox|fxios|safari|edg|opr)/[0-9]")
_CHROME: Final = re.compile(rb" chrome/([0-9]+)\.")
_FETCH_METADATA_SINCE: Final = 80  # Chrome sends Sec-Fetch-* since this version, to https only, and not with WebSockets
_LONGEST: Final = 1024  # bytes; browsers stay under 500


class Judgement:
    """What an agent alone says: its class, the crawler's or tool's name, and whether it sends Sec-Fetch-*."""

    __slots__ = ("fetch_metadata", "kind", "named")

    def __init__(self, kind: str, named: str = "", fetch_metadata: bool = False) -> None:
        self.kind = kind
        self.named = named
        self.fetch_metadata = fetch_metadata


class Agents:
    """``signs``: how many of a browser's usual fields must be missing to make it suspect; ``deny``: the classes that
    are refused with what ``refuse`` gives, but for the ``welcome``, by name."""

    def __init__(
        self, signs: int, deny: frozenset[str], welcome: frozenset[str], refuse: Callable[[], Response]
    ) -> None:
        self._agents: Memo[bytes, Judgement] = Memo(judge, 16_384, longest=_LONGEST)
        self._signs = signs
        self._deny = deny
        self._welcome = welcome
        self._refuse = refuse

    def check(self, x: Exchange) -> Response | None:
        """Class the exchange's agent, and refuse it if it is to be. /robots.txt stays open."""
        headers = x.request.headers
        judged = self._agents[headers.get(b"user-agent", b"")]
        kind = judged.kind
        if kind == "browser":
            missing = 0
            if b"accept-language" not in headers:
                missing = 1
            if b"accept-encoding" not in headers:
                missing += 1
            if judged.fetch_metadata and b"sec-fetch-site" not in headers and _expects_metadata(x):
                missing += 1
            if missing >= self._signs:
                kind = "suspect"
        x.bot = kind
        if kind in self._deny and judged.named not in self._welcome and x.request.path != b"/robots.txt":
            return self._refuse()
        return None


def judge(agent: bytes) -> Judgement:
    """What an agent (the field's value, b"" if there is none) says by itself."""
    agent = agent.strip().lower()
    if not agent or len(agent) > _LONGEST:
        return Judgement("suspect")
    named = _NAMED.search(agent)
    if named is not None:
        return Judgement("crawler" if named[1] else "tool", (named[1] or named[2]).decode())
    if _BROWSER.match(agent) is None:
        return Judgement("")
    chrome = _CHROME.search(agent)
    return Judgement("browser", "", chrome is not None and int(chrome[1][:4]) >= _FETCH_METADATA_SINCE)


def _expects_metadata(x: Exchange) -> bool:
    return x.request.scheme == b"https" and b"upgrade" not in x.request.headers
