"""SSDLite on MobileNetV2 at 320 x 320 with weights drawn at random, in INT8: to measure latency with."""

from __future__ import annotations

import numpy as np

from edgeproxy.tensors import Spec
from edgeproxy.training.graph import Graph, quantised, run
from edgeproxy.training.mobilenet import LAST, Builder, first, noise
from edgeproxy.training.shelf import Trained

CLASSES, ANCHORS, MOST = 21, 6, 100
PIXELS = Spec("pixels", "FP32", (1, 3, 320, 320))
OUTPUTS = (
    Spec("boxes", "FP32", (1, MOST, 4)),
    Spec("scores", "FP32", (1, MOST)),
    Spec("classes", "INT64", (1, MOST)),
)
# Channels of the further maps, each half as wide: Sandler et al., MobileNetV2 (2018), section 6.2.
FURTHER = (512, 256, 256, 128)


def train(seed: int) -> Trained:
    """Nothing is learnt here."""
    graph = Graph("object-detector", [PIXELS])
    build = Builder(graph, np.random.default_rng(seed))
    tap, seen = build.trunk("pixels")
    maps, before = [(tap, 576), (seen, LAST)], LAST
    for after in FURTHER:
        seen = build.separable(build.conv(seen, before, after // 2), after // 2, after, stride=2)
        maps.append((seen, after))
        before = after
    boxes, odds = (
        graph.add("Concat", *(rows(build, found, channels, wide) for found, channels in maps), axis=1)
        for wide in (4, CLASSES)
    )
    likeliest(graph, boxes, graph.add("Sigmoid", odds))
    model = quantised(graph.model(OUTPUTS), noise("pixels", PIXELS.shape, seed))
    picture = np.random.default_rng(seed).random(PIXELS.shape).astype(np.float32)
    # Which of boxes with nearly one score comes first is not the same on all processors: the scores alone are compared.
    scores = first({"scores": run(model, {"pixels": picture})["scores"]})
    return Trained(
        model, {"accuracy": "none: weights drawn at random"}, {"seed": seed, "outputs": scores, "within": 0.5}
    )


def rows(build: Builder, seen: str, channels: int, wide: int) -> str:
    """What a map says of each of its places, a row for each anchor."""
    found = build.separable(seen, channels, ANCHORS * wide, clip=False)
    turned = build.graph.add("Transpose", found, perm=[0, 2, 3, 1])
    return build.graph.add("Reshape", turned, np.array([1, -1, wide], np.int64))


def likeliest(graph: Graph, boxes: str, odds: str) -> None:
    """The MOST boxes with the highest score, and what they are; those that overlap stay."""
    best = graph.add("ReduceMax", odds, axes=[2], keepdims=0)
    kinds = graph.add("ArgMax", odds, axis=2, keepdims=0)
    graph.add_many("TopK", [best, np.array([MOST], np.int64)], ["scores", "places"], axis=1)
    places = graph.add("Squeeze", "places", np.array([0], np.int64))
    graph.add("Gather", boxes, places, axis=1, output="boxes")
    graph.add("Gather", kinds, places, axis=1, output="classes")
