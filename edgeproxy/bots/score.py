"""How likely it is that a program asks, 0 to 100, and what is done about it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.bots.agents import ROBOTS, Agents, expects_metadata
from edgeproxy.bots.probes import Probes
from edgeproxy.bots.shape import Shapes
from edgeproxy.http.message import Response
from edgeproxy.http.pseudo import names
from edgeproxy.pipeline.exchange import Exchange

# What gives an exchange its score: the weighted signals below, or whatever else is handed to Judge.
Scorer = Callable[[Exchange], int]

TAG: Final = "bot"
_TREATMENTS: Final = ("limit", "challenge")  # the weaker first


class Weights:
    """How much each signal adds to the score; 0 leaves it out. The names are those of the stage's settings."""

    def __init__(self, weights: dict[str, int]) -> None:
        self.kinds: dict[str, int] = {
            "tool": weights["tool"],
            "crawler": weights["crawler"],
            "": weights["unknown"],
            "suspect": weights["agent"],
        }
        self.exposed = weights["exposed"]
        self.language = weights["language"]
        self.encoding = weights["encoding"]
        self.fetch_metadata = weights["fetch_metadata"]
        self.shape = weights["shape"]
        self.ja4 = weights["ja4"]
        self.feeds = weights["feeds"]
        self.network = weights["network"]
        self.pace = weights["pace"]
        self.probes = weights["probes"]


class Signals:
    """The weighted sum of what speaks for a program.

    ``programs`` and ``browsers``: JA4 of either, ``browsers`` empty if any will do; ``networks``: autonomous systems
    that host programs; ``over_pace``: whether the exchange's client asks faster than people do; None leaves out.
    """

    def __init__(
        self,
        agents: Agents,
        weights: Weights,
        shapes: Shapes | None,
        probes: Probes | None,
        over_pace: Callable[[Exchange], bool] | None,
        programs: frozenset[str],
        browsers: frozenset[str],
        networks: frozenset[int],
    ) -> None:
        self._agents = agents
        self._weights = weights
        self._shapes = shapes
        self._probes = probes
        self._over_pace = over_pace
        self._programs = programs
        self._browsers = browsers
        self._networks = networks

    def score(self, x: Exchange) -> int:
        """The exchange's score, 0 to 100."""
        headers = x.request.headers
        weights = self._weights
        judged = self._agents.judged(x)
        kind = judged.kind
        points = weights.kinds.get(kind, 0)
        if kind == "crawler" and x.bot == "suspect":
            points = weights.exposed
        if b"accept-language" not in headers:
            points += weights.language
        if b"accept-encoding" not in headers:
            points += weights.encoding
        if judged.fetch_metadata and b"sec-fetch-site" not in headers and expects_metadata(x):
            points += weights.fetch_metadata
        if self._shapes is not None and judged.engine in self._shapes.of(names(x.request)).unlike:
            points += weights.shape
        tls = x.peer.tls
        if tls is not None and tls.ja4 and self._betrays(tls.ja4, kind):
            points += weights.ja4
        if x.feeds:
            points += weights.feeds
        if x.place.asn in self._networks:
            points += weights.network
        if self._over_pace is not None and self._over_pace(x):
            points += weights.pace
        if self._probes is not None and self._probes.made(x):
            points += weights.probes
        return max(0, min(100, points))

    def _betrays(self, ja4: str, kind: str) -> bool:
        """Whether a hello is a program's, or none of a browser's although the agent says so."""
        return ja4 in self._programs or (kind == "browser" and bool(self._browsers) and ja4 not in self._browsers)


class Actions:
    """What is done from which score on; 101 for never."""

    def __init__(self, tag: int, limit: int, challenge: int, refuse: int) -> None:
        self.tag = tag
        self.limit = limit
        self.challenge = challenge
        self.refuse = refuse
        self.least = min(tag, limit, challenge, refuse)


class Judge:
    """Classes an exchange's agent, and whatever else is configured: its shape, whether it is the crawler it calls
    itself (``ask``, as :meth:`Crawlers.ask`), its score, and what follows from that. ``count`` is told each action.

    Who has proved a name or an identity has score 0. /robots.txt stays open. With ``observes`` all is counted and
    nothing is wanted done.
    """

    def __init__(
        self,
        agents: Agents,
        shapes: Shapes | None,
        ask: Callable[[str, str], int] | None,
        score: Scorer | None,
        actions: Actions,
        refuse: Callable[[], Response],
        count: Callable[[str], None],
        *,
        observes: bool,
    ) -> None:
        self._agents = agents
        self._shapes = shapes
        self._ask = ask
        self._score = score
        self._actions = actions
        self._refuse = refuse
        self._count = count
        self._observes = observes

    def check(self, x: Exchange) -> Response | None:
        """Judge the exchange: a refusal, or None with its bot, agent, shape, score and treatment set."""
        answer = self._agents.check(x)
        if self._shapes is not None:
            x.shape = self._shapes.of(names(x.request)).text
        if answer is None and self._ask is not None and x.bot == "crawler" and not x.agent:
            answer = self._verify(x, self._ask)
        if answer is None and self._score is not None:
            if x.agent or x.identity:
                x.score = 0
            else:
                x.score = score = min(100, x.score + self._score(x))  # beside what a stage before this one has found
                if score >= self._actions.least:
                    answer = self._act(x, score)
        return answer

    def _verify(self, x: Exchange, ask: Callable[[str, str], int]) -> Response | None:
        name = self._agents.judged(x).name
        verdict = ask(name, x.client)
        if verdict > 0:
            x.agent = name
        elif verdict < 0:
            return self._agents.expose(x)
        return None

    def _act(self, x: Exchange, score: int) -> Response | None:
        actions = self._actions
        if score >= actions.tag:
            self._count("tag")
            x.tags = (*x.tags, TAG)
        if x.request.path == ROBOTS or (x.bot != "suspect" and self._agents.welcomes(self._agents.judged(x).name)):
            return None
        if score >= actions.refuse:
            self._count("refuse")
            return self._refuse()
        wanted = "challenge" if score >= actions.challenge else "limit" if score >= actions.limit else ""
        if wanted:
            self._count(wanted)
            if not self._observes and x.treatment != _TREATMENTS[1]:
                x.treatment = wanted
        return None
