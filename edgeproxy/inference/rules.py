"""A rule of the predict stage: which exchanges it is about, what its model is asked, and what follows."""

from __future__ import annotations

import logging
import re
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Final

from edgeproxy.http.media import media_matcher
from edgeproxy.http.message import Request, Response
from edgeproxy.inference.holding import BUSY, LATE, TOO_LONG
from edgeproxy.inference.inputs import Decode, Inputs
from edgeproxy.inference.reading import Reading, ReadingError, Told
from edgeproxy.inference.shadow import Shadow
from edgeproxy.inference.uses import TAGS, Deeds, Use, compile_use
from edgeproxy.inference.version import AskError, Outcome
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo
from edgeproxy.pipeline.middleware import Services, Verdict
from edgeproxy.tensors import Tensors

if TYPE_CHECKING:
    from edgeproxy.inference.rule_settings import RuleSettings
    from edgeproxy.inference.service import Inference
    from edgeproxy.observe.metrics import Counter, Metrics

logger = logging.getLogger("edgeproxy.predict")

_SLASHES: Final = re.compile(rb"/{2,}")

PACKED: Final = "packed"
UNREADABLE: Final = "unreadable"
UNANSWERED: Final = "unanswered"

# What is said where a rule refuses what its model could not be asked about.
_REFUSALS: Final = {
    UNANSWERED: (503, "This cannot be looked at just now; try again soon."),
    BUSY: (503, "Too much is being looked at; try again soon."),
    LATE: (503, "This cannot be looked at just now; try again soon."),
    TOO_LONG: (413, "The body is too long to be looked at."),
    PACKED: (415, "A compressed body is not taken here."),
    UNREADABLE: (415, "The body cannot be read."),
}


class Rule:
    """One rule, with its model. ``acts``: whether anything is done; else it is only counted."""

    def __init__(
        self,
        settings: RuleSettings,
        inference: Inference,
        services: Services,
        deeds: Deeds,
        refuse: Callable[[int, str], Response],
        decode: Decode | None,
        *,
        acts: bool,
    ) -> None:
        """Raises ValueError where the model is not known, or is not one that this rule can use."""
        manifest = inference.require(settings.model)
        for number in (settings.version, settings.shadow):
            if number is not None and str(number) not in manifest.versions:
                known = ", ".join(manifest.versions)
                raise ValueError(f"{settings.model!r} has no version {number}; known are {known}")
        self.size: Final = settings.size
        self.wait: Final = settings.wait
        self.inputs: Final = Inputs(manifest, settings.input, content=settings.on != "head", decode=decode)
        self._uses = tuple([compile_use(use, manifest) for use in settings.into])
        self._inference = inference
        self._model = settings.model
        self._version = "" if settings.version is None else str(settings.version)
        self._on = settings.on
        self._within = settings.within
        self._paths = tuple([path.encode() for path in settings.when.path])
        self._methods = frozenset([method.encode() for method in settings.when.method])
        self._types: Memo[bytes, bool] = Memo(media_matcher(settings.when.type or self.inputs.types), 256, longest=128)
        self._refuse = refuse if settings.unanswered == "refuse" else None
        self._deeds = deeds
        self._acts = acts
        self._shadow: Shadow | None = None
        if settings.shadow is not None:
            reading = self._uses[0].reading if self._uses else Reading(manifest)
            version, spawn = str(settings.shadow), services.cache.spawn
            self._shadow = Shadow(inference, settings.model, version, reading, self._uses, spawn, services.metrics)
        self._count = count_predictions(services.metrics)
        about = "What was done with what models said; in observe mode what would have been."
        self._acted = services.metrics.counter("edgeproxy_prediction_actions_total", about, ("model", "on", "action"))

    @property
    def owned(self) -> frozenset[bytes]:
        """Fields in which the origin is told something: clients may not."""
        return frozenset([use.name for use in self._uses if use.action == "header"])

    @property
    def routes(self) -> frozenset[str]:
        """Names of the routes that may take over."""
        return frozenset([use.route for use in self._uses if use.route])

    @property
    def tells(self) -> bool:
        """Whether it says something in answers that are not there yet."""
        return self._on != "answer" and any(use.action == "response_header" for use in self._uses)

    def concerns(self, request: Request) -> bool:
        """Whether it is about such requests."""
        if self._paths:
            path = request.path
            if not (_SLASHES.sub(b"/", path) if b"//" in path else path).startswith(self._paths):
                return False
        return not self._methods or request.method in self._methods

    def takes(self, content_type: bytes | None) -> bool:
        """Whether it is about content of that type."""
        return content_type is not None and self._types[content_type]

    def ask(self, tensors: Tensors) -> Outcome | Awaitable[Outcome] | None:
        """As :meth:`Inference.ask`; None where there is no answer."""
        try:
            return self._inference.ask(self._model, tensors, version=self._version, within=self._within)
        except AskError as error:
            self._say(error)
            return None

    async def answer(self, asked: Outcome | Awaitable[Outcome] | None) -> Outcome | None:
        """What :meth:`ask` gave, waited for."""
        if asked is None or isinstance(asked, Outcome):
            return asked
        try:
            return await asked
        except AskError as error:
            self._say(error)
            return None

    def judge(self, x: Exchange, tensors: Tensors, outcome: Outcome | None) -> Verdict | Awaitable[Verdict]:
        """Do on a request what follows from an outcome: a verdict, as a stage's hook gives one."""
        found = self.read(tensors, outcome)
        if found is None:
            return self.missing(UNANSWERED)
        for use, told in found:
            self._acted.inc(self._model, self._on, use.action)
            if self._acts or use.action == "refuse":  # a refusal that is observed is counted by the chain
                verdict = self._deeds.do(use, x, told)
                if verdict is not None:
                    return verdict
        return None

    def mark(self, response: Response, tensors: Tensors, outcome: Outcome | None) -> None:
        """Put what follows from an outcome into an answer's fields and tags."""
        found = self.read(tensors, outcome)
        if found is None:
            self.missing(UNANSWERED)
            return
        for use, told in found:
            self._acted.inc(self._model, self._on, use.action)
            name = TAGS if use.action == "tag" else use.name
            (response.add if use.action == "tag" else response.set)(name, use.text(told))

    def read(self, tensors: Tensors, outcome: Outcome | None) -> list[tuple[Use, Told]] | None:
        """The uses that apply and what they read; None if there is nothing to be read."""
        if outcome is None:
            return None
        found: list[tuple[Use, Told]] = []
        try:
            for use in self._uses:
                told = use.reading.of(outcome)
                if use.applies(told):
                    found.append((use, told))
        except ReadingError as error:
            logger.debug("%s", error)
            return None
        self._count.inc(self._model, self._on, "default" if outcome.by == "default" else "answered")
        if self._shadow is not None:
            self._shadow.compare(tensors, outcome)
        return found

    def missing(self, why: str) -> Response | None:
        """What follows where the model says nothing."""
        self._count.inc(self._model, self._on, why)
        return None if self._refuse is None else self._refuse(*_REFUSALS[why])

    def _say(self, error: AskError) -> None:
        logger.debug("%s: %s", self._model, error)


def count_predictions(metrics: Metrics) -> Counter:
    """The counter of what became of questions, by model, what they were about and outcome."""
    about = "Exchanges that models were asked about, or should have been, by outcome."
    return metrics.counter("edgeproxy_predictions_total", about, ("model", "on", "outcome"))
