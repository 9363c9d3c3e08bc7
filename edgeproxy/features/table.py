"""The functions that make numbers of what passes, by the names that manifests give them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, Literal, NamedTuple

from edgeproxy.tensors import Array

Of = Literal["request", "text"]


class Row(NamedTuple):
    """What a function takes, a Request or a str, and where it is."""

    of: Of
    module: str
    function: str


TABLE: Final = {
    "head/1": Row("request", "edgeproxy.features.head", "vector"),
    "text/1": Row("text", "edgeproxy.features.text", "vector"),
}


class Feature(NamedTuple):
    """A function that gives the numbers of one question, float32 and one-dimensional, and what it takes."""

    of: Of
    vector: Callable[[Any], Array]


def feature(name: str) -> Feature:
    """The function of that name, imported now. Raises ValueError if there is none."""
    row = TABLE.get(name)
    if row is None:
        raise ValueError(f"{name!r} is no features known here; known are {', '.join(TABLE)}")
    return Feature(row.of, getattr(import_module(row.module), row.function))
