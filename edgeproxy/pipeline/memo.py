"""A bounded memo that costs a dict look-up on a hit."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

K = TypeVar("K", str, bytes)
V = TypeVar("V")


class Memo(dict[K, V]):
    """``memo[key]`` is ``compute(key)``, remembered.

    Two generations of at most ``size / 2`` entries: a full one replaces the older, and what is still asked for comes
    over. Keys longer than ``longest`` are computed each time and never kept, so memory has a bound in bytes too. What
    ``compute`` raises is raised and not remembered.
    """

    __slots__ = ("_compute", "_half", "_longest", "_old")

    def __init__(self, compute: Callable[[K], V], size: int, *, longest: int = 1024) -> None:
        super().__init__()
        self._compute: Callable[[K], V] = compute
        self._half = max(1, size // 2)
        self._longest = longest
        self._old: dict[K, V] = {}

    def __missing__(self, key: K) -> V:
        old = self._old
        value = old[key] if key in old else self._compute(key)
        if len(key) <= self._longest:
            if len(self) >= self._half:
                self._old = dict(self)
                self.clear()
            self[key] = value
        return value

    def forget(self) -> None:
        """Drop everything: what the values were computed from has changed."""
        self.clear()
        self._old = {}

    def __repr__(self) -> str:
        return f"<Memo {len(self)}+{len(self._old)} of {2 * self._half}>"
