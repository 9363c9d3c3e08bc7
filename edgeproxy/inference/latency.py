"""A model's word on what endpoints are going to take."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from math import isfinite
from typing import TYPE_CHECKING, Final

import numpy as np

from edgeproxy.balance.rows import NAMES
from edgeproxy.inference.score import drop
from edgeproxy.inference.version import AskError, Outcome
from edgeproxy.tensors import ANY

if TYPE_CHECKING:
    from edgeproxy.clock import Clock
    from edgeproxy.inference.service import Inference

logger = logging.getLogger("edgeproxy.origin")

PAUSE: Final = 5.0  # seconds for which a model that does not answer at once is left alone


class Latency:
    """Asked for ``pool``, on this node, and nothing waits for it: where it does not answer at once it says nothing, and
    is left alone for a while."""

    def __init__(self, inference: Inference, name: str, pool: str, clock: Clock) -> None:
        """Raises ValueError where there is no such model, or it takes or gives something else."""
        manifest = inference.require(name)
        given, told = manifest.inputs[0], manifest.outputs[0]
        alone = len(manifest.inputs) == len(manifest.outputs) == 1
        if not alone or (given.kind, given.shape) != ("FP32", (ANY, len(NAMES))):
            raise ValueError(f"{name!r} does not take what is known of an endpoint: FP32 of any length x {len(NAMES)}")
        if (told.kind, told.shape) != ("FP32", (ANY, 1)):
            raise ValueError(f"{name!r} does not give one number for each endpoint: FP32 of any length x 1")
        self._inference = inference
        self._name = name
        self._pool = pool
        self._input = given.name
        self._output = told.name
        self._now = clock.monotonic
        self._again = 0.0  # when it is asked again, monotonic seconds

    def predict(self, rows: list[list[float]]) -> Sequence[float] | None:
        """Rows by balance.rows to the natural logs of seconds; None where it does not answer."""
        if self._again and self._now() < self._again:
            return None
        try:
            outcome = self._inference.ask(self._name, {self._input: np.array(rows, np.float32)}, here=True)
        except AskError as error:
            self._leave_alone(str(error))
            return None
        if not isinstance(outcome, Outcome):
            drop(outcome)
            self._leave_alone("it takes too long to run inline")
            return None
        times: list[float] = outcome.tensors[self._output][:, 0].tolist()
        if not isfinite(sum(times)):
            self._leave_alone("it answers with what is no number")
            return None
        if self._again:
            self._again = 0.0
            logger.info("pool %s: the model %s answers again", self._pool, self._name)
        return times

    def _leave_alone(self, why: str) -> None:
        if not self._again:
            logger.warning(
                "pool %s: class_ewma decides, for the model %s does not answer: %s", self._pool, self._name, why
            )
        self._again = self._now() + PAUSE

    def __repr__(self) -> str:
        return f"<Latency {self._name} for {self._pool}>"
