"""The functions that make numbers of what passes, by the names that manifests give them."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any, Final, Literal, NamedTuple

from edgeproxy.tensors import Array

Of = Literal["request", "text"]


class Row(NamedTuple):
    """What a function takes, a Request or a str, and where it is. ``identity``: one beside it that gives the same bytes
    for two requests only if their numbers are the same, and costs much less; "" for none."""

    of: Of
    module: str
    function: str
    identity: str = ""


TABLE: Final = {
    "head/1": Row("request", "edgeproxy.features.head", "vector", "identity"),
    "request/1": Row("request", "edgeproxy.features.request", "vector"),
    "text/1": Row("text", "edgeproxy.features.text", "vector"),
}


class Feature(NamedTuple):
    """A function that gives the numbers of one question, float32 and one-dimensional, what it takes, and what two that
    have the same numbers are known by."""

    of: Of
    vector: Callable[[Any], Array]
    identity: Callable[[Any], bytes] | None = None


def feature(name: str) -> Feature:
    """The function of that name, imported now. Raises ValueError if there is none."""
    row = TABLE.get(name)
    if row is None:
        raise ValueError(f"{name!r} is no features known here; known are {', '.join(TABLE)}")
    module = import_module(row.module)
    return Feature(row.of, getattr(module, row.function), getattr(module, row.identity) if row.identity else None)
