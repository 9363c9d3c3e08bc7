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
from edgeproxy.inference.version import AskError, Outcome
from edgeproxy.pipeline.exchange import Exchange

if TYPE_CHECKING:
    from edgeproxy.inference.service import Inference
    from edgeproxy.observe.metrics import Metrics

logger = logging.getLogger("edgeproxy.bots")

PAUSE: Final = 5.0  # seconds for which a model that does not answer at once is left alone
LABEL: Final = "bot"  # whose value counts, of an output with labels


class ModelScore:
    """Adds to the points that ``weigh`` gives those of a model: ``most`` where it is sure that a program asks.

    It is asked on this node, and nothing waits for it: where it does not answer at once the points of ``weigh`` are the
    score.
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

    def score(self, x: Exchange) -> int:
        """The exchange's score, 0 to 100."""
        weighed = self._weigh(x)
        if x.started < self._again:
            return weighed
        try:
            outcome = self._inference.ask(self._name, self._inputs.of_head(x.request), here=True)
            if isinstance(outcome, Outcome):
                value = self._reading.of(outcome).value
                self._count.inc(self._name, "score", "answered")
                if self._again:
                    self._again = 0.0
                    logger.info("the model %s answers again and counts for the score", self._name)
                return min(100, weighed + points(self._most, value))
            _drop(outcome)
            why = "it takes too long to run inline"
        except (AskError, ReadingError) as error:
            why = str(error)
        self._leave_alone(x.started, why)
        return weighed

    def _leave_alone(self, now: float, why: str) -> None:
        if not self._again:
            logger.warning("the model %s does not count for the score: %s", self._name, why)
        self._again = now + PAUSE
        self._count.inc(self._name, "score", UNANSWERED)

    def __repr__(self) -> str:
        return f"<ModelScore {self._name} {self._most}>"


def _drop(asked: Awaitable[Outcome]) -> None:
    """Nobody will wait for it."""
    if isinstance(asked, Coroutine):
        asked.close()
    elif isinstance(asked, asyncio.Future):
        asked.cancel()
