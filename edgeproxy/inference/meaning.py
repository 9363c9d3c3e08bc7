"""What outputs mean to whoever asked: labels and how likely they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from edgeproxy.inference.manifest import OutputSpec
from edgeproxy.tensors import Array


class Likely(NamedTuple):
    """A label and its probability, 0 to 1, or whatever else the model gives for it."""

    label: str
    probability: float


def likeliest(spec: OutputSpec, output: Array) -> list[Likely]:
    """The ``top`` labels of one answer, the likeliest first; of equals the one that is named first. Raises ValueError
    where there are not as many values as labels, or one is no number."""
    values = probabilities(output.reshape(-1)) if spec.softmax else output.reshape(-1)
    if len(values) != len(spec.labels):
        raise ValueError(f"output {spec.name!r} has {len(values)} values for {len(spec.labels)} labels")
    if not np.isfinite(values).all():
        raise ValueError(f"output {spec.name!r} holds what is no number")
    places = np.argsort(-values.astype(np.float64), kind="stable")[: spec.top].tolist()
    return [Likely(spec.labels[place], float(values[place])) for place in places]


def probabilities(logits: Array) -> Array:
    """Softmax of one row, in 64 bits; the largest is taken off first, so that no power overflows."""
    powers = np.exp(logits.astype(np.float64) - float(logits.max()))
    shares: Array = powers / powers.sum()
    return shares
