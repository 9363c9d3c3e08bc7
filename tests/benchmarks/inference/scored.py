"""This project as measured with budgets: a site, each of whose requests is scored, and models that clients ask."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import ClassVar, Self

from tests.benchmarks.inference.servers import await_ready
from tests.benchmarks.servers import Edgeproxy

SCORE = "bot-score"
_MODELS = Path(__file__).parents[3] / "models"


class EdgeproxyScored(Edgeproxy):
    """A model scores each request. It and others lie in the work folder's ``models``."""

    name = "edgeproxy-scored"
    config = "budgets-edgeproxy.yaml"
    scored: ClassVar[str] = f"model: {SCORE}, model_weight: 50"

    def values(self) -> dict[str, object]:
        return super().values() | {"models": self.work / "models", "scored": self.scored}

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            for folder in sorted((self.work / "models").iterdir()):
                await_ready(self, folder.name)
        except BaseException:
            self.stop()
            raise
        return self


class EdgeproxyUnscored(EdgeproxyScored):
    """The same, with each request scored by rules alone."""

    name = "edgeproxy-unscored"
    scored = "score: true"


def copy(names: tuple[str, ...], folder: Path, source: Path = _MODELS) -> None:
    """Copy models, those that come with this project or others."""
    for name in names:
        shutil.copytree(source / name, folder / name)
