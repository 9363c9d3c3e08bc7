"""What is wrong with a configuration, place by place, all of it at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

Loc = tuple[str | int, ...]


class ConfigError(NamedTuple):
    """One mistake. ``line`` and ``column`` count from 1 and are 0 where there is no text to point at."""

    file: str
    line: int
    column: int
    path: str
    message: str
    loc: Loc = ()

    def __str__(self) -> str:
        place = f"{self.file}:{self.line}:{self.column}" if self.line else self.file
        return ": ".join(part for part in (place, self.path, self.message) if part)


class ConfigErrors(Exception):  # noqa: N818 - it is many
    """A configuration that cannot be used. Its text is one line per mistake, in the order of the file."""

    def __init__(self, errors: Sequence[ConfigError]) -> None:
        super().__init__("\n".join(map(str, errors)))
        self.errors = tuple(errors)


def located(loc: Loc, message: str) -> ConfigError:
    """A mistake at a key path, where the text is not at hand."""
    return ConfigError("configuration", 0, 0, key_path(loc), message, loc)


def key_path(loc: Loc) -> str:
    """``routes[0].match.path`` from ``("routes", 0, "match", "path")``."""
    return "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in loc).removeprefix(".")
