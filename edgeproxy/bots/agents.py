"""Browsers, crawlers and tools, told apart by what they say and how they say it."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Final

from edgeproxy.bots.catalogue import CATALOGUE
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo

_MOZILLA: Final = "mozilla/5.0 ("
_BROWSER: Final = re.compile(r"(?:chrome|crios|firefox|fxios|safari|edg|opr)/[0-9]")  # behind the first comment
_CHROME: Final = re.compile(r" chrome/([0-9]{1,4})\.")
_FIREFOX: Final = re.compile(r" gecko/.* firefox/[0-9]")
_FETCH_METADATA_SINCE: Final = 80  # Chrome sends Sec-Fetch-* since this version, to https only, and not with WebSockets
_LONGEST: Final = 1024  # bytes; browsers stay under 500
ROBOTS: Final = b"/robots.txt"


class Judgement:
    """What an agent alone says: its class; a crawler's or tool's name and category; a browser's engine, as far as it is
    known how it behaves, and whether it sends Sec-Fetch-*; and whether it is refused."""

    __slots__ = ("category", "engine", "fetch_metadata", "kind", "name", "refused")

    def __init__(
        self, kind: str, name: str = "", category: str = "", engine: str = "", fetch_metadata: bool = False
    ) -> None:
        self.kind = kind
        self.name = name
        self.category = category
        self.engine = engine
        self.fetch_metadata = fetch_metadata
        self.refused = False


class Agents:
    """``signs``: how many of a browser's usual fields must be missing to make it suspect; ``deny``: the classes and
    categories that are refused with what ``refuse`` gives, but for the ``welcome``, by name."""

    def __init__(
        self, signs: int, deny: frozenset[str], welcome: frozenset[str], refuse: Callable[[], Response]
    ) -> None:
        self._agents: Memo[bytes, Judgement] = Memo(self._judge, 16_384, longest=_LONGEST)
        self._signs = signs
        self._deny = deny
        self._welcome = welcome
        self._suspects_refused = "suspect" in deny
        self._refuse = refuse

    def check(self, x: Exchange) -> Response | None:
        """Class the exchange's agent, and refuse it if it is to be, unless it has proved its name. /robots.txt stays
        open."""
        headers = x.request.headers
        judged = self._agents[headers.get(b"user-agent", b"")]
        kind = judged.kind
        refused = judged.refused
        if kind == "browser":
            missing = 0
            if b"accept-language" not in headers:
                missing = 1
            if b"accept-encoding" not in headers:
                missing += 1
            if judged.fetch_metadata and b"sec-fetch-site" not in headers and expects_metadata(x):
                missing += 1
            if missing >= self._signs and not x.agent:
                kind = "suspect"
                refused = self._suspects_refused
        x.bot = kind
        if refused and not x.agent and x.request.path != ROBOTS:
            return self._refuse()
        return None

    def judged(self, x: Exchange) -> Judgement:
        """What the exchange's agent says by itself."""
        return self._agents[x.request.headers.get(b"user-agent", b"")]

    def expose(self, x: Exchange) -> Response | None:
        """The exchange's agent is not the crawler it calls itself: a suspect, to whom no welcome goes."""
        x.bot = "suspect"
        denied = self._suspects_refused or "crawler" in self._deny or self.judged(x).category in self._deny
        return self._refuse() if denied and x.request.path != ROBOTS else None

    def welcomes(self, name: str) -> bool:
        """Whether a name is welcome: itself, or as one of a kind, as ``googlebot-image`` is of ``googlebot``."""
        while name:
            if name in self._welcome:
                return True
            name = name.rpartition("-")[0]
        return False

    def _judge(self, agent: bytes) -> Judgement:
        judged = judge(agent)
        denied = judged.kind in self._deny or judged.category in self._deny
        judged.refused = denied and not self.welcomes(judged.name)
        return judged


def judge(agent: bytes) -> Judgement:
    """What an agent (the field's value, b"" if there is none) says by itself."""
    if len(agent) > _LONGEST:
        return Judgement("suspect")
    said = agent.decode("latin-1").strip().lower()
    if not said:
        return Judgement("suspect")
    named = CATALOGUE.find(said)
    if named is not None:
        return Judgement(named.kind, named.name, named.category)
    system = said.find(") ") if said.startswith(_MOZILLA) else -1
    if system < 0 or _BROWSER.search(said, system) is None:
        return Judgement("")
    chrome = _CHROME.search(said)
    if chrome is not None:
        return Judgement("browser", "", "", "chromium", int(chrome[1]) >= _FETCH_METADATA_SINCE)
    return Judgement("browser", "", "", "gecko" if _FIREFOX.search(said) else "")


def expects_metadata(x: Exchange) -> bool:
    """Whether a browser that sends Sec-Fetch-* would have sent it with this request."""
    return x.request.scheme == b"https" and b"upgrade" not in x.request.headers
