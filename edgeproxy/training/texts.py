"""What the models of texts share: GNOME's help as a text, and a linear layer over ``text/1`` as a file."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from edgeproxy.features.text import BINS
from edgeproxy.tensors import ANY, Spec
from edgeproxy.training.graph import Graph, quantised, run
from edgeproxy.training.sources import Package, unpacked

Array = npt.NDArray[Any]

HELP: Final = Package(
    "apt-get",
    "gnome-user-docs",
    "43.0-2",
    "0d635a840747958ca84da778b40d341f1155603851f922c9a171f5a181d6a39f",
)
ENGLISH: Final = "C"
FEATURES: Final = Spec("features", "FP32", (ANY, BINS))
_MALLARD: Final = "{http://projectmallard.org/1.0/}"


def help_folder() -> Path:
    """With a folder for each language."""
    return unpacked(HELP) / "usr/share/help"


def help_pages() -> list[str]:
    """Their names, which are the same in all languages."""
    return sorted(file.name for file in (help_folder() / ENGLISH / "gnome-help").glob("*.page"))


def paragraphs(language: str, page: str) -> Iterator[str]:
    """Titles and paragraphs of a page, on one line each."""
    tree = ET.parse(help_folder() / language / "gnome-help" / page)  # noqa: S314 (a file of a checked package)
    for element in tree.iter():
        if element.tag in {_MALLARD + "p", _MALLARD + "title", _MALLARD + "desc"}:
            yield " ".join("".join(element.itertext()).split())


def linear(name: str, weights: Array, bias: Array, output: str, *, share: str = "") -> bytes:
    """Features of texts in, weights [4096, n] times these plus bias [n] out; with ``share``, an output of that name
    besides, which comes first, has the sigmoid of it. In 32 bits."""
    graph = Graph(name, [FEATURES])
    graph.add("Gemm", "features", weights.astype(np.float32), bias.astype(np.float32), output=output)
    if share:
        graph.add("Sigmoid", output, output=share)
    return graph.model([Spec(each, "FP32", (ANY, len(bias))) for each in (share, output) if each])


def smaller(model: bytes, pieces: Array) -> bytes:
    """The same in INT8, by some of the pieces it was trained on."""
    return quantised(model, [{"features": pieces[:: max(1, len(pieces) // 500)]}])


def sample(model: bytes, seed: int) -> dict[str, Any]:
    """What is answered to features drawn at random, as a manifest's ``seed`` draws them: a text's would fill pages."""
    features = np.random.default_rng(seed).random((1, BINS)).astype(np.float32)
    answers = run(model, {"features": features})
    outputs = {name: [round(float(value), 3) for value in values.ravel()] for name, values in answers.items()}
    return {"seed": seed, "outputs": outputs, "within": 0.1}
