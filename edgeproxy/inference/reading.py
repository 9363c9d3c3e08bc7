"""What a model's outputs say, as a word and a number."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from typing import Final, NamedTuple

from edgeproxy.inference.manifest import Manifest, OutputSpec
from edgeproxy.inference.meaning import probabilities
from edgeproxy.inference.version import Outcome
from edgeproxy.pipeline.template import Renderer
from edgeproxy.tensors import Tensors

LONGEST: Final = 64  # characters of a label as it is told

_ODD: Final = re.compile(r"[^A-Za-z0-9_.:/+-]+")


class Told(NamedTuple):
    """One reading: the label that counts, "" where there are none, as a token; its value; who said so."""

    label: str
    value: float
    model: str
    version: str
    by: str


PLACEHOLDERS: Final[dict[str, Renderer[Told]]] = {
    "label": lambda told: told.label.encode(),
    "value": lambda told: b"%.4g" % told.value,
    "model": lambda told: told.model.encode(),
    "version": lambda told: told.version.encode(),
    "by": lambda told: told.by.encode(),
}


class ReadingError(ValueError):
    """What a model says makes no sense: it is not what its manifest describes, or no number."""


class Reading:
    """Reads one output. ``label``: the value is that label's; "" for the likeliest one's."""

    def __init__(self, manifest: Manifest, output: str = "", label: str = "") -> None:
        """Raises ValueError where the manifest has no such output or label."""
        spec = _output(manifest, output)
        if label and label not in spec.labels:
            known = ", ".join(spec.labels[:20]) or "none"
            raise ValueError(f"the output {spec.name!r} of {manifest.name!r} has no label {label!r}; known are {known}")
        self.name = spec.name
        self._tokens = tuple([token(each) for each in spec.labels])
        self._softmax = spec.softmax
        self._place = spec.labels.index(label) if label else -1
        self._read: Callable[[Tensors], tuple[str, float]] = (
            self._of_labels if spec.labels else self._of_word if spec.kind == "BYTES" else self._of_number
        )

    @property
    def has_labels(self) -> bool:
        """Whether it tells one of some labels."""
        return bool(self._tokens)

    def of(self, outcome: Outcome) -> Told:
        """What an outcome says. Raises ReadingError."""
        try:
            label, value = self._read(outcome.tensors)
        except (KeyError, IndexError, TypeError, ValueError) as error:
            raise ReadingError(f"{outcome.model}: its output {self.name!r} cannot be read: {error!r}") from None
        if not math.isfinite(value):
            raise ReadingError(f"{outcome.model}: its output {self.name!r} is no number")
        return Told(label, value, outcome.model, outcome.version, outcome.by)

    def _of_number(self, tensors: Tensors) -> tuple[str, float]:
        return "", float(tensors[self.name].item(0))

    def _of_word(self, tensors: Tensors) -> tuple[str, float]:
        word = tensors[self.name].item(0)
        return token(word.decode("utf-8", "replace") if isinstance(word, bytes) else str(word)), 1.0

    def _of_labels(self, tensors: Tensors) -> tuple[str, float]:
        row = tensors[self.name].reshape(-1)[: len(self._tokens)]
        if len(row) < len(self._tokens):
            raise ReadingError("it has fewer places than labels")
        place = int(row.argmax()) if self._place < 0 else self._place
        return self._tokens[place], float((probabilities(row) if self._softmax else row)[place])


def token(text: str) -> str:
    """A label as it can stand in fields, tags and logs: without blanks, commas, and all that is not ASCII."""
    return _ODD.sub("-", text)[:LONGEST] or "-"


def _output(manifest: Manifest, name: str) -> OutputSpec:
    found = next((each for each in manifest.outputs if each.name == name), None) if name else manifest.outputs[0]
    if found is None:
        known = ", ".join(each.name for each in manifest.outputs)
        raise ValueError(f"{manifest.name!r} has no output {name!r}; known are {known}")
    return found
