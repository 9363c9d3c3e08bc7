"""Questions put together along their first axis, and their answers taken apart. Pure."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from edgeproxy.inference.manifest import Manifest
from edgeproxy.inference.session import RunError
from edgeproxy.tensors import ANY, Tensors

Shape = tuple[tuple[str, tuple[int, ...]], ...]


def joinable(manifest: Manifest) -> bool:
    """Whether the first axis of all that goes in and comes out is free, as a batch's is."""
    shapes = [each.shape for each in manifest.inputs] + [each.shape for each in manifest.outputs]
    return all(len(shape) > 0 and shape[0] == ANY for shape in shapes)


def rows(tensors: Tensors) -> int:
    """How many questions in one: the longest first axis, 1 where there is none."""
    return max([array.shape[0] for array in tensors.values() if array.ndim], default=1)


def size(manifest: Manifest, tensors: Tensors) -> int:
    """How many times as much it is as a question whose free lengths are 1, such as the one that was measured."""
    largest = 1
    for each in manifest.inputs:
        times = 1
        for want, length in zip(each.shape, tensors[each.name].shape, strict=True):
            if want == ANY:
                times *= length
        largest = max(largest, times)
    return largest


def shape(tensors: Tensors) -> Shape:
    """What has to be the same for two questions to be joined: all lengths but the first. Empty if the inputs of one do
    not have the same number of rows, so that it can be joined with none."""
    if len({array.shape[:1] for array in tensors.values()}) != 1:
        return ()
    return tuple([(name, array.shape[1:]) for name, array in sorted(tensors.items())])


def join(questions: Sequence[Tensors]) -> Tensors:
    """One question with the rows of all, which have the same shape."""
    return {name: np.concatenate([each[name] for each in questions]) for name in questions[0]}


def split(answer: Tensors, lengths: Sequence[int]) -> list[Tensors]:
    """To each question its own rows, as memory of its own. Raises RunError if the answer has another number of them."""
    whole = sum(lengths)
    if any(array.ndim == 0 or array.shape[0] != whole for array in answer.values()):
        raise RunError(f"the answer to {whole} rows has another number of them")
    answers: list[Tensors] = []
    start = 0
    for length in lengths:
        answers.append({name: array[start : start + length].copy() for name, array in answer.items()})
        start += length
    return answers
