"""All of a node's models behind one function: ask."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Iterable
from time import perf_counter
from typing import TYPE_CHECKING

from edgeproxy.inference import batch
from edgeproxy.inference.drift import Drift
from edgeproxy.inference.fallback import Fallback, hops
from edgeproxy.inference.manifest import Manifest
from edgeproxy.inference.registry import Registry
from edgeproxy.inference.results import Results
from edgeproxy.inference.runs import NoRunError, Runs
from edgeproxy.inference.session import RunError
from edgeproxy.inference.version import AskError, Outcome, Standing, Version
from edgeproxy.tensors import TensorError, Tensors, check

if TYPE_CHECKING:
    from edgeproxy.config.models import ModelsConfig
    from edgeproxy.pipeline.middleware import Services

logger = logging.getLogger("edgeproxy.inference")

EDGE = "edge"


class Inference:
    """The models of one configuration, in one worker process."""

    def __init__(self, settings: ModelsConfig, services: Services) -> None:
        """Raises ValueError if the folder cannot be used."""
        metrics, clock = services.metrics, services.clock
        self._metrics = metrics
        self._at_once = settings.inline
        self._registry = Registry(settings, services, self._changed)
        self._runs = Runs(settings.workers, metrics)
        self._results = Results(settings.results, settings.results_for, clock.monotonic)
        self._drift = Drift(settings.drift, metrics)
        self._answered = metrics.counter(
            "edgeproxy_inference_total",
            "Questions to models, by who answered: edge, kept, regional, central, default.",
            ("model", "version", "by"),
        )
        self._failed = metrics.counter(
            "edgeproxy_inference_failures_total",
            "Questions somebody did not answer, by whom they were put to and why.",
            ("model", "by", "reason"),
        )
        self._fallback = Fallback(hops(settings, services.http, clock), self._failed.inc, metrics, clock)
        self._going: dict[bytes, asyncio.Task[Tensors]] = {}
        metrics.gauge(
            "edgeproxy_inference_results", "Results of models that are kept.", (), lambda: [((), len(self._results))]
        )

    async def start(self) -> None:
        """Load what there is. What cannot be loaded is told in the log, and asked further in."""
        self._runs.start()
        await self._registry.start()

    async def stop(self) -> None:
        await self._registry.stop()
        await self._runs.stop()

    def require(self, name: str) -> Manifest:
        """The manifest of a model that a stage is going to ask. Raises ValueError with what is wrong: for
        ``edgeproxy check``."""
        return self._registry.manifest(name)

    def manifests(self) -> Iterable[Manifest]:
        """Those of all models known, in the order of their names."""
        return self._registry.manifests()

    def standings(self) -> Iterable[Standing]:
        """What became of each version."""
        return self._registry.standings()

    def is_ready(self, name: str, number: str = "") -> bool:
        """Whether a model, or one version of it, serves here."""
        return self._registry.get(name, number) is not None

    def serving(self, name: str) -> Version | None:
        """The version in service."""
        return self._registry.get(name)

    def repeated(self, version: Version) -> None:
        """Count a question that whoever asks remembers the answer of."""
        self._answered.inc(version.manifest.name, version.number, "kept")

    def ask(
        self, name: str, tensors: Tensors, *, version: str = "", within: float | None = None, here: bool = False
    ) -> Outcome | Awaitable[Outcome]:
        """The outcome at once where the model runs inline or the result is kept, else something to await.

        ``version``: "" for the one in service. ``within``: seconds, in place of the manifest's budget and for whoever
        is asked after this node too. ``here``: this node alone, no hops and no default, for shadows. Raises AskError,
        at once or when awaited.
        """
        found = self._registry.get(name, version)
        manifest = self._known(name, version) if found is None else found.manifest
        try:
            check([each.spec for each in manifest.inputs], tensors)
        except TensorError as error:
            raise AskError("tensors", str(error)) from None
        if found is None:
            return self._further(manifest, version, tensors, within, here, "absent")
        key = self._results.key(found, tensors)
        kept = self._results.get(key) if key else None
        if kept is not None:
            self._answered.inc(name, found.number, "kept")
            return kept
        if not found.inline or batch.size(manifest, tensors) * found.seconds > self._at_once:
            return self._run(found, version, key, tensors, within, here)
        start = perf_counter()
        try:
            answer = found.session.run_here(tensors)
        except RunError as error:
            self._tell(found, error)
            return self._further(manifest, version, tensors, within, here, "failed")
        seconds = perf_counter() - start
        self._runs.observe(found, seconds)
        return self._outcome(found, key, tensors, answer, seconds)

    async def _run(
        self, version: Version, number: str, key: bytes, tensors: Tensors, within: float | None, here: bool
    ) -> Outcome:
        """On a thread, once for all who ask the same at the same time. ``number``: the version that was asked for."""
        manifest, start = version.manifest, perf_counter()
        budget = manifest.budget if within is None else within
        running = self._going.get(key) if key else None
        try:
            if running is not None:
                answer = await asyncio.shield(running)
            elif key:
                running = asyncio.get_running_loop().create_task(self._runs.ask(version, tensors, budget))
                self._going[key] = running
                running.add_done_callback(lambda done: self._gone(key, done))
                answer = await asyncio.shield(running)
            else:
                answer = await self._runs.ask(version, tensors, budget)
        except NoRunError as error:
            if error.reason == "failed":
                self._tell(version, error)
            left = None if within is None else max(0.0, within - (perf_counter() - start))
            return await self._further(manifest, number, tensors, left, here, error.reason)
        return self._outcome(version, key, tensors, answer, perf_counter() - start)

    def _gone(self, key: bytes, done: asyncio.Task[Tensors]) -> None:
        del self._going[key]
        if not done.cancelled():
            done.exception()  # whoever still waits for it is told; nobody else has to be

    async def _further(
        self, manifest: Manifest, number: str, tensors: Tensors, within: float | None, here: bool, why: str
    ) -> Outcome:
        self._failed.inc(manifest.name, EDGE, why)
        if here and why == "failed":
            raise AskError("failed", "the model fails at these values")
        if here:
            raise AskError("unanswered", "this node cannot answer for this model now; try again soon")
        outcome = await self._fallback.ask(manifest, number, tensors, within)
        self._answered.inc(manifest.name, number, outcome.by)
        return outcome

    def _outcome(self, version: Version, key: bytes, tensors: Tensors, answer: Tensors, seconds: float) -> Outcome:
        name = version.manifest.name
        self._answered.inc(name, version.number, EDGE)
        self._drift.look(version, tensors, answer)
        outcome = Outcome(answer, name, version.number, EDGE, seconds)
        if key:
            self._results.put(key, outcome)
        return outcome

    def _known(self, name: str, number: str) -> Manifest:
        """The manifest of what does not serve here. Raises AskError where that is not known at all."""
        try:
            manifest = self._registry.manifest(name)
        except ValueError:
            raise AskError("unknown", "there is no such model here") from None
        if number and number not in manifest.versions:
            raise AskError("unknown", "there is no such version here")
        return manifest

    def _tell(self, version: Version, error: Exception) -> None:
        logger.warning("model %s, version %s: a run failed: %s", version.manifest.name, version.number, error)

    def _changed(self, name: str) -> None:
        self._results.forget(name)
        self._drift.forget(name)
        self._runs.forget(name)

    def __repr__(self) -> str:
        return f"<Inference {self._registry!r} {self._runs!r}>"
