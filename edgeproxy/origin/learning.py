"""A pool's model: asked at each choice of an endpoint, compared with what the answer took."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.learned import Learned, Predict, Trust
from edgeproxy.config.pools import LearnedConfig
from edgeproxy.observe.metrics import Metrics
from edgeproxy.origin.endpoint import Endpoint
from edgeproxy.pipeline.exchange import Exchange

logger = logging.getLogger("edgeproxy.origin")


class Learning:
    """Lives as long as its pool, balancers come and go; until it has a model to :meth:`use`, nobody is asked.

    ``trust``: whether the model's word counts.
    """

    def __init__(self, name: str, config: LearnedConfig, metrics: Metrics) -> None:
        self.trust = Trust()
        self._name = name
        self._model = config.model
        self._shadow = config.mode == "shadow"
        self._explored = config.exploration
        self._predict: Predict = _nobody
        self._choices = metrics.counter(
            "edgeproxy_origin_learned_total", "Answers of endpoints, by who chose those.", ("pool", "by")
        )
        self._gauges = (
            metrics.gauge(
                "edgeproxy_origin_learned_error",
                "Rolling mean error of the log of the time: of the model, and of the default.",
                ("pool", "of"),
                self._read_errors,
                merge="max",
            ),
            metrics.gauge(
                "edgeproxy_origin_learned_trusted",
                "1 if the model has been nearer to the truth lately.",
                ("pool",),
                self._read_trusted,
                merge="min",
            ),
        )

    def end(self) -> None:
        for end in self._gauges:
            end()

    def use(self, predict: Predict) -> None:
        """Ask this model from now on."""
        self._predict = predict

    def balancer(self, members: Sequence[Endpoint]) -> Learned[Endpoint]:
        """One for these members, which must not be empty."""
        return Learned(members, self._ask, self.trust, shadow=self._shadow, explored=self._explored)

    def took(self, x: Exchange, ask: Ask, endpoint: Endpoint, seconds: float) -> None:
        """The head of ``endpoint``'s answer came after ``seconds``. Where another one was chosen, and this one asked
        because of what came of that, the model has not been asked."""
        choice = ask.choice
        if choice is None or choice.key != endpoint.key:
            return
        ask.choice = None
        x.choice = (*choice.row, seconds)
        self._choices.inc(self._name, choice.by)
        trust = self.trust
        before = trust.deserved
        trust.took(choice, seconds)
        if trust.deserved is not before:
            self._tell()

    def _ask(self, rows: list[list[float]]) -> Sequence[float] | None:
        return self._predict(rows)

    def _tell(self) -> None:
        trust = self.trust
        level = logging.INFO if trust.deserved else logging.WARNING
        which = "nearer to the truth" if trust.deserved else "further off"
        who = "class_ewma" if self._shadow or not trust.deserved else "the model"
        told = "pool %s: the model %s is %s than class_ewma, by %.3f to %.3f; %s decides"
        logger.log(level, told, self._name, self._model, which, trust.model, trust.plain, who)

    def _read_errors(self) -> Iterator[tuple[tuple[str, ...], float]]:
        if self.trust.answers:
            yield (self._name, "model"), self.trust.model
            yield (self._name, "default"), self.trust.plain

    def _read_trusted(self) -> Iterator[tuple[tuple[str, ...], float]]:
        yield (self._name,), float(self.trust.deserved)

    def __repr__(self) -> str:
        return f"<Learning by {self._model}{' in shadow' * self._shadow} {self.trust!r}>"


def _nobody(rows: list[list[float]]) -> None:
    return None
