"""A manifest's sample as tensors, and what a model made of it beside what it should have."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Final

import numpy as np

from edgeproxy.tensors import ANY, KINDS, Array, Spec, TensorError, Tensors

MOST: Final = 10_000_000  # elements of one tensor of a sample
FRACTIONS: Final = frozenset({"FP16", "FP32", "FP64"})
_TAKEN: Final = dict.fromkeys(FRACTIONS, int | float) | {"BYTES": str}


def array(spec: Spec, values: Sequence[Any]) -> Array:
    """Flat values in a tensor's shape, its free lengths 1. Raises TensorError."""
    shape = _shape(spec)
    if len(values) != math.prod(shape):
        raise TensorError(f"{spec.name}: it has {len(values)} values; {spec} takes {math.prod(shape)}")
    taken = _TAKEN.get(spec.kind, int)
    try:
        if not all(isinstance(value, taken) for value in values):
            raise ValueError
        with np.errstate(over="ignore"):
            made = np.array(values, KINDS[spec.kind].dtype)
        if (spec.kind == "BOOL" and not set(values) <= {0, 1}) or (spec.kind in FRACTIONS and not _finite(made)):
            raise ValueError
        return made.reshape(shape)
    except (ValueError, OverflowError):
        raise TensorError(f"{spec.name}: not all of its values are {spec.kind}") from None


def question(inputs: Iterable[Spec], values: Mapping[str, Sequence[Any]], seed: int | None) -> Tensors:
    """What the sample asks: ``values``, or drawn by ``seed``. Raises TensorError."""
    if seed is None:
        return {spec.name: array(spec, values.get(spec.name, ())) for spec in inputs}
    drawn = np.random.default_rng(seed)
    return {spec.name: _draw(spec, drawn) for spec in inputs}


def answer(outputs: Tensors, wanted: Mapping[str, int]) -> dict[str, list[Any]]:
    """The first values of each output, as many as are ``wanted``, as JSON has them."""
    return {name: [_plain(value) for value in outputs[name].ravel()[:count]] for name, count in wanted.items()}


def differs(told: Mapping[str, Sequence[Any]], wanted: Mapping[str, Sequence[Any]], within: float) -> str:
    """Where the first values told are not those wanted: a sentence, "" where they are."""
    for name, values in wanted.items():
        got = told.get(name, ())
        if len(got) < len(values):
            return f"to its sample, {name!r} has {len(got)} values; the manifest has {len(values)}"
        for at, (value, want) in enumerate(zip(got, values, strict=False)):
            if not _same(value, want, within):
                return f"to its sample, {name}[{at}] is {_short(value)}; the manifest has {_short(want)}"
    return ""


def _shape(spec: Spec) -> tuple[int, ...]:
    shape = tuple(1 if length == ANY else length for length in spec.shape)
    if math.prod(shape) > MOST:
        raise TensorError(f"{spec.name}: {spec} is more than {MOST} values, too many for a sample")
    return shape


def _draw(spec: Spec, drawn: np.random.Generator) -> Array:
    kind, shape = KINDS[spec.kind], _shape(spec)
    if kind.name == "BYTES":
        raise TensorError(f"{spec.name}: texts cannot be drawn by a seed")
    if kind.name in FRACTIONS:
        return drawn.random(shape).astype(kind.dtype)
    return drawn.integers(0, 256 if kind.name == "UINT8" else 2, shape).astype(kind.dtype)


def _finite(made: Array) -> bool:
    return bool(np.isfinite(made).all())


def _plain(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.decode(errors="replace")
    return value.item() if isinstance(value, np.generic) else value


def _same(value: Any, want: Any, within: float) -> bool:
    if isinstance(value, str) or isinstance(want, str):
        return bool(value == want)
    if not isinstance(value, int | float) or not isinstance(want, int | float):
        return False
    return abs(value - want) <= within  # not of NaN


def _short(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else repr(value)[:60]
