"""The stages that are installed, their order, and which of them a route has with which settings.

A stage is an entry point of the group ``edgeproxy.middleware``: its name in the configuration, and its class.
"""

from __future__ import annotations

import functools
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from typing import Any

from edgeproxy.pipeline.middleware import Middleware

GROUP = "edgeproxy.middleware"
ORDER_GROUP = "edgeproxy.middleware.order"

StageSettings = Mapping[str, dict[str, Any] | bool]


@dataclass(frozen=True)
class Discovered:
    """The installed stages. ``order`` holds every name once; ``broken`` says why a stage could not be loaded."""

    stages: Mapping[str, type[Middleware]]
    order: tuple[str, ...]
    broken: Mapping[str, str] = field(default_factory=dict)

    def names(self) -> set[str]:
        return {*self.stages, *self.broken}


@functools.cache
def discover() -> Discovered:
    """What is installed here; looked up once a process."""
    stages: dict[str, type[Middleware]] = {}
    broken: dict[str, str] = {}
    for point in entry_points(group=GROUP):
        try:
            stages[point.name] = point.load()
        except (ImportError, AttributeError) as error:
            broken[point.name] = f"{type(error).__name__}: {error}"
    order = [name for point in entry_points(group=ORDER_GROUP) for name, _ in point.load()]
    return Discovered(stages, arrange(stages, order), broken)


def arrange(stages: Mapping[str, type[Middleware]], order: list[str]) -> tuple[str, ...]:
    """``order`` with the stages it does not name put in: before the stage their class names in ``before``, else before
    ``cache``, so that they see what is answered from memory too; in the order of their names.
    """
    arranged = [name for name in order if name in stages]
    for name in sorted(set(stages) - set(arranged)):
        before = getattr(stages[name], "before", "cache")
        arranged.insert(arranged.index(before) if before in arranged else len(arranged), name)
    return tuple(arranged)


def chosen(
    discovered: Discovered, everywhere: StageSettings, here: StageSettings | None = None
) -> dict[str, dict[str, Any]]:
    """The stages of one route in order, each with its settings: those on by default, then the global map over them,
    then the route's, key by key. ``here`` None stands for no route at all.
    """
    out: dict[str, dict[str, Any]] = {}
    for name in discovered.order:
        settings: dict[str, Any] | None = {} if discovered.stages[name].default_on else None
        for layer in (everywhere, here or {}):
            given = layer.get(name)
            if given is False:
                settings = None
            elif given is not None:
                settings = (settings or {}) | (given if isinstance(given, dict) else {})
        if settings is not None:
            out[name] = settings
    return out
