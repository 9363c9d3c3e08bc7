"""A model fitted to logs: what ``edgeproxy models fit`` asks of ``models/NAME/train.py``, and how it is judged.

A train.py that can be fitted has three names. The command loads it by its path, gives ``fit`` the older four fifths
of the log and ``score`` the newest fifth, which ``fit`` never sees::

    MEASURE = "recall"   # of what score measures, the one that versions are compared by: more is better

    def fit(rows: Iterable[Record], seed: int, progress: Callable[[str], None]) -> Trained: ...
    def score(model: bytes, rows: Iterable[Record]) -> Quality: ...

``rows`` is a list of :class:`edgeproxy.features.log.Record` in the order of their time. ``fit`` uses all of them,
depends on nothing else but the seed, tells ``progress`` a sentence where it takes long, and raises ValueError, in words
for whoever runs the node, where they are too few. Its Trained (:mod:`edgeproxy.training.shelf`) has the file, the
sample and the histograms as they stand in the manifest; what ``score`` measures goes over what it has as quality.
``score`` runs the file of any version, the one in service too, and depends on the file and the records alone. All
versions have the inputs and outputs of the manifest: whatever else was learnt, a list of paths say, is in the graph.
"""

from __future__ import annotations

import importlib.util
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from edgeproxy.features.log import Record
    from edgeproxy.training.shelf import Quality, Trained

FILE: Final = "train.py"
NEWEST: Final = 0.2  # of the log, what a version is judged by
FEWEST: Final = 500  # records, below which nothing is to be learnt or judged
EXTRA: Final = "pip install 'edgeproxy[models]'"


class Trainer(NamedTuple):
    """What a train.py has."""

    fit: Callable[[Sequence[Record], int, Callable[[str], None]], Trained]
    score: Callable[[bytes, Sequence[Record]], Quality]
    measure: str


class Judged(NamedTuple):
    """What the version there and the new one are worth on the same records, by ``measure`` first of all. ``before`` is
    None where there is none to compare with."""

    measure: str
    before: Quality | None
    after: Quality

    @property
    def is_worse(self) -> bool:
        return self.before is not None and _value(self.after, self.measure) < _value(self.before, self.measure)


def trainer(folder: Path) -> Trainer:
    """Load a model's train.py, which runs it. Raises ValueError where it is not made for logs, or needs what is not
    installed."""
    file = folder / FILE
    spec = importlib.util.spec_from_file_location(f"train_{folder.name.replace('-', '_')}", file)
    if not file.is_file() or spec is None or spec.loader is None:
        raise ValueError(f"{folder.name} has no {FILE}: it cannot be fitted")
    module: Any = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except ImportError as error:
        raise missing(error) from None
    except SyntaxError as error:
        raise ValueError(f"{file}:{error.lineno}: {error.msg}") from None
    try:
        return Trainer(module.fit, module.score, str(module.MEASURE))
    except AttributeError as error:
        raise ValueError(f"{folder.name} is not made from logs: its {FILE} has no {error.name}") from None


def missing(error: ImportError) -> ValueError:
    """What to say where a package for training is not installed."""
    return ValueError(f"fitting needs {error.name or error}, which serving does not and is not installed: {EXTRA}")


def judged(made: Trainer, before: bytes | None, after: bytes, newer: Sequence[Record]) -> Judged:
    """Raises ValueError where what is measured cannot be compared."""
    one = Judged(made.measure, None if before is None else made.score(before, newer), made.score(after, newer))
    for quality in (one.before, one.after):
        if quality is not None:
            _value(quality, one.measure)
    return one


def described(older: Sequence[Record], newer: Sequence[Record]) -> Quality:
    """Which records a version was made from and judged by."""
    quality: Quality = {"records fitted to": len(older), "records held out": len(newer)}
    for what, moment in (("log from", older[0].time), ("held out from", newer[0].time), ("log to", newer[-1].time)):
        quality[what] = time.strftime("%Y-%m-%d %H:%M:%S UTC", time.gmtime(moment))
    return quality


def _value(quality: Quality, measure: str) -> float:
    value = quality.get(measure)
    if isinstance(value, str | None) or not math.isfinite(value):
        raise ValueError(f"on these records, {measure!r} cannot be measured; give a longer log")
    return value
