"""Whom a question goes to that this node cannot answer: a regional endpoint, a central one, the declared default."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from edgeproxy.inference import batch
from edgeproxy.inference.hops import Hop, HopError
from edgeproxy.inference.manifest import Manifest
from edgeproxy.inference.samples import array
from edgeproxy.inference.version import AskError, Outcome
from edgeproxy.observe.metrics import Labels, Metrics
from edgeproxy.tensors import Tensors

if TYPE_CHECKING:
    import aiohttp

    from edgeproxy.clock import Clock
    from edgeproxy.config.models import ModelsConfig


def hops(settings: ModelsConfig, session: Callable[[], aiohttp.ClientSession], clock: Clock) -> tuple[Hop, ...]:
    """Those that are configured, the nearest first."""
    named = {"regional": settings.regional, "central": settings.central}
    return tuple([Hop(by, config, session, clock) for by, config in named.items() if config is not None])


class Fallback:
    """``failed`` is told model, hop and reason of each that did not answer."""

    def __init__(
        self, chain: Sequence[Hop], failed: Callable[[str, str, str], None], metrics: Metrics, clock: Clock
    ) -> None:
        self._chain = chain
        self._failed = failed
        self._clock = clock
        about = "1 for an endpoint further in that is left alone, because it failed."
        metrics.gauge("edgeproxy_inference_hop_open", about, ("by",), self._read, merge="max")

    async def ask(self, manifest: Manifest, number: str, tensors: Tensors, within: float | None) -> Outcome:
        """The first answer there is; ``within``: seconds for all of them together. Raises AskError."""
        start = self._clock.monotonic()
        left = math.inf
        for hop in self._chain:
            if within is not None:
                left = within - (self._clock.monotonic() - start)
                if left <= 0:
                    break
            try:
                version, outputs = await hop.ask(manifest, number, tensors, left)
            except HopError as error:
                self._failed(manifest.name, hop.by, error.reason)
            else:
                return Outcome(outputs, manifest.name, version, hop.by, self._clock.monotonic() - start)
        if manifest.default is None:
            raise AskError("unanswered", "nobody can answer for this model now; try again soon")
        declared = {each.name: array(each.spec, manifest.default[each.name]) for each in manifest.outputs}
        if batch.joinable(manifest) and (rows := batch.rows(tensors)) > 1:
            declared = {name: np.repeat(values, rows, axis=0) for name, values in declared.items()}
        return Outcome(declared, manifest.name, "", "default", self._clock.monotonic() - start)

    def _read(self) -> Iterable[tuple[Labels, float]]:
        return [((hop.by,), float(hop.open)) for hop in self._chain]
