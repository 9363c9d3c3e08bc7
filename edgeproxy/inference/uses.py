"""What is done with what a model says: the table of actions."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final, NamedTuple

from edgeproxy.http.message import Response
from edgeproxy.inference.manifest import Manifest
from edgeproxy.inference.reading import PLACEHOLDERS, Reading, Told
from edgeproxy.inference.version import Outcome
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.handover import HandOver, go_on
from edgeproxy.pipeline.middleware import Verdict
from edgeproxy.pipeline.template import Renderer, compile_template

if TYPE_CHECKING:
    from edgeproxy.inference.rule_settings import Use as Settings

REFUSED: Final = "What was sent is not taken here."
TAGS: Final = b"surrogate-key"


class Use(NamedTuple):
    """One use, ready. ``name``: of the field; ``text``: what is said; ``above`` to ``below``: the values it is for."""

    action: str
    reading: Reading
    above: float
    below: float
    name: bytes
    text: Renderer[Told]
    points: int
    route: str

    def applies(self, told: Told) -> bool:
        """Whether the value is one that it is for."""
        return self.above <= told.value < self.below

    def sense(self, outcome: Outcome) -> tuple[str, bool]:
        """All that matters of an outcome: the label, and whether anything is done. Raises ReadingError."""
        told = self.reading.of(outcome)
        return told.label, self.applies(told)


def compile_use(settings: Settings, manifest: Manifest) -> Use:
    """Raises ValueError where the model has no such output or label, or a text has an unknown placeholder."""
    reading = Reading(manifest, settings.output or "", settings.label or "")
    usual = "{label}" if reading.has_labels else "{value}"
    return Use(
        settings.action,
        reading,
        float("-inf") if settings.above is None else settings.above,
        float("inf") if settings.below is None else settings.below,
        (settings.header or settings.response_header or "").encode(),
        compile_template(settings.as_ or settings.tag or settings.log or usual, PLACEHOLDERS),
        settings.score or 0,
        settings.route or "",
    )


class Deeds:
    """Does what uses say. ``refuse`` answers with a status and a sentence."""

    def __init__(self, hand_over: HandOver, refuse: Callable[[int, str], Response]) -> None:
        self._hand_over = hand_over
        self._refuse = refuse
        self._said: dict[Exchange, list[tuple[bytes, bytes]]] = {}  # for answers that are not there yet
        self._table: Final[dict[str, Callable[[Use, Exchange, Told], Verdict | Awaitable[Verdict]]]] = {
            "header": self._header,
            "response_header": self._response_header,
            "log": self._log,
            "score": self._score,
            "route": self._route,
            "refuse": self._refusal,
        }

    def do(self, use: Use, x: Exchange, told: Told) -> Verdict | Awaitable[Verdict]:
        """On a request: a verdict, as a stage's hook gives one."""
        return self._table[use.action](use, x, told)

    def say(self, x: Exchange, response: Response) -> None:
        """Put into an answer what was found out before it was there."""
        for name, value in self._said.pop(x, ()):
            response.set(name, value)

    def forget(self, x: Exchange) -> None:
        """The exchange is over."""
        self._said.pop(x, None)

    def _header(self, use: Use, x: Exchange, told: Told) -> None:
        x.request.headers[use.name] = use.text(told)

    def _response_header(self, use: Use, x: Exchange, told: Told) -> None:
        self._said.setdefault(x, []).append((use.name, use.text(told)))

    def _log(self, use: Use, x: Exchange, told: Told) -> None:
        word = use.text(told).decode()
        if word not in x.tags:
            x.tags = (*x.tags, word)

    def _score(self, use: Use, x: Exchange, told: Told) -> None:
        if not x.agent and not x.identity:
            x.score = min(100, x.score + points(use.points, told.value))

    def _route(self, use: Use, x: Exchange, _: Told) -> Awaitable[Response] | None:
        route = self._hand_over.find(x, use.route)
        return None if route is None else go_on(x, route)

    def _refusal(self, use: Use, x: Exchange, told: Told) -> Response:
        return self._refuse(403, REFUSED)


def points(most: int, value: float) -> int:
    """So many for a value of 1, fewer for less."""
    return round(most * min(1.0, max(0.0, value)))
