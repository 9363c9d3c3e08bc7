"""A model's part of the bot score."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Coroutine
from typing import TYPE_CHECKING, Final

from edgeproxy.inference.inputs import Inputs
from edgeproxy.inference.reading import Reading, ReadingError
from edgeproxy.inference.rules import UNANSWERED, count_predictions
from edgeproxy.inference.uses import points
from edgeproxy.inference.version import AskError, Outcome, Version
from edgeproxy.pipeline.exchange import Exchange

if TYPE_CHECKING:
    from edgeproxy.http.message import Request
    from edgeproxy.inference.service import Inference
    from edgeproxy.observe.metrics import Metrics

logger = logging.getLogger("edgeproxy.bots")

KEPT: Final = 8_192  # heads whose value is remembered: of visitors, most have one that others had before
LONGEST: Final = 2_048  # bytes of what a head is known by; a longer one is looked at each time
PAUSE: Final = 5.0  # seconds for which a model that does not answer at once is left alone
LABEL: Final = "bot"  # whose value counts, of an output with labels


class ModelScore:
    """Adds to the points that ``weigh`` gives those of a model: ``most`` where it is sure that a program asks.

    It is asked on this node, and nothing waits for it: where it does not answer at once the points of ``weigh`` are the
    score. What a pure model said of a head is remembered as long as the version serves.
    """

    def __init__(
        self, weigh: Callable[[Exchange], int], inference: Inference, name: str, most: int, metrics: Metrics
    ) -> None:
        """Raises ValueError where there is no such model, or it is not one for the heads of requests."""
        manifest = inference.require(name)
        labels = manifest.outputs[0].labels
        if labels and LABEL not in labels:
            raise ValueError(f"model: {name!r} has no label {LABEL!r}, whose value the score takes")
        self._weigh: Callable[[Exchange], int] = weigh
        self._inference = inference
        self._name = name
        self._most = most
        self._inputs = Inputs(manifest, {}, content=False, decode=None)
        self._reading = Reading(manifest, label=LABEL if labels else "")
        self._again = 0.0  # when it is asked again, monotonic seconds
        self._count = count_predictions(metrics)
        self._identity = self._inputs.identity if manifest.pure else None
        self._version: Version | None = None  # whose values these are
        self._values: dict[bytes, float] = {}
        self._older: dict[bytes, float] = {}

    def score(self, x: Exchange) -> int:
        """The exchange's score, 0 to 100."""
        weighed = self._weigh(x)
        if x.started < self._again:
            return weighed
        try:
            value = self._value(x.request)
        except (AskError, ReadingError) as error:
            self._leave_alone(x.started, str(error))
            return weighed
        self._count.inc(self._name, "score", "answered")
        if self._again:
            self._again = 0.0
            logger.info("the model %s answers again and counts for the score", self._name)
        return min(100, weighed + points(self._most, value))

    def _value(self, request: Request) -> float:
        """What the model says of a head, now or the last time. Raises AskError, ReadingError."""
        version = self._inference.serving(self._name)
        if version is None or self._identity is None:
            return self._asked(request)
        if version is not self._version:
            self._version, self._values, self._older = version, {}, {}
        key = self._identity(request)
        value = self._values.get(key)
        if value is not None:
            self._inference.repeated(version)
            return value
        value = self._older.get(key)
        if value is None:
            value = self._asked(request)
        else:
            self._inference.repeated(version)
        if len(key) <= LONGEST:
            if len(self._values) >= KEPT // 2:
                self._older, self._values = self._values, {}
            self._values[key] = value
        return value

    def _asked(self, request: Request) -> float:
        outcome = self._inference.ask(self._name, self._inputs.of_head(request), here=True)
        if isinstance(outcome, Outcome):
            return self._reading.of(outcome).value
        drop(outcome)
        raise AskError("unanswered", "it takes too long to run inline")

    def _leave_alone(self, now: float, why: str) -> None:
        if not self._again:
            logger.warning("the model %s does not count for the score: %s", self._name, why)
        self._again = now + PAUSE
        self._count.inc(self._name, "score", UNANSWERED)

    def __repr__(self) -> str:
        return f"<ModelScore {self._name} {self._most}>"


def drop(asked: Awaitable[Outcome]) -> None:
    """Nobody will wait for it."""
    if isinstance(asked, Coroutine):
        asked.close()
    elif isinstance(asked, asyncio.Future):
        asked.cancel()
