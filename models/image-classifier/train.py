"""MobileNetV2 1.0 at 224 x 224 with weights drawn at random, in INT8: to measure latency with."""

from __future__ import annotations

import numpy as np

from edgeproxy.tensors import Spec
from edgeproxy.training.graph import Graph, quantised, run
from edgeproxy.training.mobilenet import LAST, Builder, first, noise
from edgeproxy.training.shelf import Trained

PIXELS = Spec("pixels", "FP32", (1, 3, 224, 224))
LOGITS = Spec("logits", "FP32", (1, 1000))


def train(seed: int) -> Trained:
    """Nothing is learnt here."""
    graph, rng = Graph("image-classifier", [PIXELS]), np.random.default_rng(seed)
    _, seen = Builder(graph, rng).trunk("pixels")
    flat = graph.add("Flatten", graph.add("GlobalAveragePool", seen))
    weights = rng.normal(0, LAST**-0.5, (LAST, 1000)).astype(np.float32)
    graph.add("Gemm", flat, weights, np.zeros(1000, np.float32), output="logits")
    model = quantised(graph.model([LOGITS]), noise("pixels", PIXELS.shape, seed))
    picture = np.random.default_rng(seed).random(PIXELS.shape).astype(np.float32)
    sample = {"seed": seed, "outputs": first(run(model, {"pixels": picture})), "within": 2.0}
    return Trained(model, {"accuracy": "none: weights drawn at random"}, sample)
