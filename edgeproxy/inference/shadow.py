"""A version that is asked what another one answers, and only compared with it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Coroutine, Sequence
from typing import TYPE_CHECKING, Any, Final

from edgeproxy.inference.reading import Reading, ReadingError
from edgeproxy.inference.uses import Use
from edgeproxy.inference.version import AskError, Outcome
from edgeproxy.tensors import Tensors

if TYPE_CHECKING:
    from edgeproxy.inference.service import Inference
    from edgeproxy.observe.metrics import Metrics

AT_ONCE: Final = 32  # questions on their way, of one shadow; each holds its tensors
DIFFERENCES: Final = (0.001, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 10.0)


class Shadow:
    """Compares a version with the one that answers, by what ``uses`` make of them, and by the value of ``reading``.
    ``spawn`` runs what has to wait."""

    def __init__(
        self,
        inference: Inference,
        model: str,
        version: str,
        reading: Reading,
        uses: Sequence[Use],
        spawn: Callable[[Coroutine[Any, Any, None]], None],
        metrics: Metrics,
    ) -> None:
        self._inference = inference
        self._of = (model, version)
        self._reading = reading
        self._uses = uses
        self._spawn = spawn
        self._waiting = 0
        self._count = metrics.counter(
            "edgeproxy_shadow_total",
            "Questions to shadow versions, by whether they lead to the same.",
            ("model", "version", "outcome"),
        )
        self._difference = metrics.histogram(
            "edgeproxy_shadow_difference",
            "How far the values of shadow versions are off.",
            ("model", "version"),
            DIFFERENCES,
        )

    def compare(self, tensors: Tensors, outcome: Outcome) -> None:
        """Ask it what ``outcome`` answers. Nothing of it is waited for."""
        if self._waiting >= AT_ONCE or outcome.by != "edge":
            self._count.inc(*self._of, "skipped")
            return
        model, version = self._of
        try:
            asked = self._inference.ask(model, tensors, version=version, here=True)
        except AskError:
            self._count.inc(*self._of, "unanswered")
            return
        if isinstance(asked, Outcome):
            self._note(outcome, asked)
        else:
            self._waiting += 1
            self._spawn(self._later(outcome, asked))

    async def _later(self, outcome: Outcome, asked: Awaitable[Outcome]) -> None:
        try:
            self._note(outcome, await asked)
        except AskError:
            self._count.inc(*self._of, "unanswered")
        finally:
            self._waiting -= 1

    def _note(self, outcome: Outcome, shadow: Outcome) -> None:
        try:
            same = all(use.sense(outcome) == use.sense(shadow) for use in self._uses)
            difference = abs(self._reading.of(outcome).value - self._reading.of(shadow).value)
        except ReadingError:
            self._count.inc(*self._of, "unanswered")
            return
        self._count.inc(*self._of, "same" if same else "other")
        self._difference.observe(difference, *self._of)
