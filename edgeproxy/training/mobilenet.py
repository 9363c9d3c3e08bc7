"""Graphs of MobileNetV2's shape with weights drawn at random: as much work as the real ones, and no knowledge."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgeproxy.tensors import Tensors
from edgeproxy.training.graph import Graph

# Expansion, channels out, blocks, stride of the first: Sandler et al., MobileNetV2 (2018), table 2.
STAGES: Final = (
    *((1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2)),
    *((6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)),
)
LAST: Final = 1280


class Builder:
    """Adds convolutions to a graph. Weights are scaled so that values stay about as large from layer to layer."""

    def __init__(self, graph: Graph, rng: np.random.Generator) -> None:
        self.graph = graph
        self._rng = rng

    def conv(
        self, seen: str, before: int, after: int, kernel: int = 1, stride: int = 1, groups: int = 1, clip: bool = True
    ) -> str:
        """A convolution; with ReLU6 behind it if ``clip``. The name of its output."""
        fan = before // groups * kernel * kernel
        weights = self._rng.normal(0, np.sqrt(2 / fan), (after, before // groups, kernel, kernel)).astype(np.float32)
        bias = self._rng.normal(0, 0.05, after).astype(np.float32)
        edge = [kernel // 2] * 4
        found = self.graph.add(
            "Conv", seen, weights, bias, pads=edge, strides=[stride] * 2, kernel_shape=[kernel] * 2, group=groups
        )
        return self.graph.add("Clip", found, np.array(0, np.float32), np.array(6, np.float32)) if clip else found

    def separable(self, seen: str, before: int, after: int, stride: int = 1, clip: bool = True) -> str:
        """A 3 x 3 convolution of each channel, and one of 1 x 1 across them."""
        return self.conv(self.conv(seen, before, before, 3, stride, before), before, after, clip=clip)

    def trunk(self, seen: str) -> tuple[str, str]:
        """From a picture of three channels: the 576 channels at a 16th of its size, the 1280 at a 32nd."""
        seen, before, tap = self.conv(seen, 3, 32, 3, 2), 32, ""
        for expansion, after, blocks, first in STAGES:
            for block in range(blocks):
                stride, wide = first if block == 0 else 1, before * expansion
                inner = self.conv(seen, before, wide) if expansion > 1 else seen
                tap = inner if after == 160 and block == 0 else tap
                found = self.separable(inner, wide, after, stride, clip=False)
                seen = self.graph.add("Add", seen, found) if stride == 1 and before == after else found
                before = after
        return tap, self.conv(seen, before, LAST)


def noise(name: str, shape: tuple[int, ...], seed: int) -> list[Tensors]:
    """Pictures of noise, for the ranges of what passes through a graph."""
    rng = np.random.default_rng(seed)
    return [{name: rng.random(shape, np.float32)} for _ in range(2)]


def first(answers: dict[str, npt.NDArray[Any]], count: int = 8) -> dict[str, list[float]]:
    """The first values of each output, for a sample."""
    return {name: [round(float(value), 4) for value in values.ravel()[:count]] for name, values in answers.items()}
