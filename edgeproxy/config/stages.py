"""The stages that are installed, their order, and which of them a route has with which settings.

A stage is an entry point of the group ``edgeproxy.middleware``: its name in the configuration, and its class. Those on
by default stand in the group ``edgeproxy.middleware.on`` too: no stage has to be loaded for it to be known as off.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from importlib.metadata import EntryPoint, entry_points
from typing import Any

from edgeproxy.pipeline.middleware import Middleware

GROUP = "edgeproxy.middleware"
ON_GROUP = "edgeproxy.middleware.on"
ORDER_GROUP = "edgeproxy.middleware.order"

StageSettings = Mapping[str, dict[str, Any] | bool]


class BrokenStageError(LookupError):
    """A stage is installed, but cannot be loaded: why."""


class Stages(Mapping[str, type[Middleware]]):
    """Installed stages by name, each loaded when it is asked for. Raises BrokenStageError for one that cannot be."""

    def __init__(self, points: Iterable[EntryPoint]) -> None:
        self._points = {point.name: point for point in points}
        self._loaded: dict[str, type[Middleware]] = {}

    def __getitem__(self, name: str) -> type[Middleware]:
        loaded = self._loaded.get(name)
        if loaded is None:
            try:
                loaded = self._loaded[name] = self._points[name].load()
            except (ImportError, AttributeError) as error:
                raise BrokenStageError(f"{type(error).__name__}: {error}") from error
        return loaded

    def __contains__(self, name: object) -> bool:
        return name in self._points

    def __iter__(self) -> Iterator[str]:
        return iter(self._points)

    def __len__(self) -> int:
        return len(self._points)


@dataclass(frozen=True)
class Discovered:
    """The installed stages. ``order`` holds every name once; ``on`` are those on by default."""

    stages: Mapping[str, type[Middleware]]
    order: tuple[str, ...]
    on: frozenset[str] = frozenset()

    def broken(self, name: str) -> str:
        """Why a stage cannot be loaded, "" if it can."""
        try:
            self.stages[name]
        except BrokenStageError as error:
            return str(error)
        return ""


@functools.cache
def discover() -> Discovered:
    """What is installed here; looked up once a process."""
    stages = Stages(entry_points(group=GROUP))
    order = [name for point in entry_points(group=ORDER_GROUP) for name, _ in point.load()]
    return Discovered(stages, arrange(stages, order), frozenset(point.name for point in entry_points(group=ON_GROUP)))


def arrange(stages: Mapping[str, type[Middleware]], order: list[str]) -> tuple[str, ...]:
    """``order`` with the stages it does not name put in: before the stage their class names in ``before``, else before
    ``cache``, so that they see what is answered from memory too; in the order of their names.
    """
    arranged = [name for name in order if name in stages]
    for name in sorted(set(stages) - set(arranged)):
        try:
            before = getattr(stages[name], "before", "cache")
        except BrokenStageError:
            before = "cache"
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
        settings: dict[str, Any] | None = {} if name in discovered.on else None
        for layer in (everywhere, here or {}):
            given = layer.get(name)
            if given is False:
                settings = None
            elif given is not None:
                settings = (settings or {}) | (given if isinstance(given, dict) else {})
        if settings is not None:
            out[name] = settings
    return out
