"""A bounded memo that costs a dict look-up on a hit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Generic, TypeVar

K = TypeVar("K", str, bytes)
V = TypeVar("V")


class Memo(Generic[K, V]):
    """``memo[key]`` is ``compute(key)``, remembered.

    Two generations of at most ``size / 2`` entries: a full one replaces the older, and what is still asked for comes
    over. Keys longer than ``longest`` are computed each time and never kept, so memory has a bound in bytes too. What
    ``compute`` raises is raised and not remembered; it gives no None.
    """

    def __init__(self, compute: Callable[[K], V], size: int, *, longest: int = 1024) -> None:
        self._compute: Callable[[K], V] = compute
        self._half = max(1, size // 2)
        self._longest = longest
        self._new: dict[K, V] = {}
        self._old: dict[K, V] = {}

    def __getitem__(self, key: K) -> V:
        value = self._new.get(key)
        return self._recall(key) if value is None else value

    def __contains__(self, key: object) -> bool:
        return key in self._new or key in self._old

    def _recall(self, key: K) -> V:
        value = self._old[key] if key in self._old else self._compute(key)
        if len(key) <= self._longest:
            if len(self._new) >= self._half:
                self._old = self._new
                self._new = {}
            self._new[key] = value
        return value

    def forget(self) -> None:
        """Drop everything: what the values were computed from has changed."""
        self._new = {}
        self._old = {}

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def __repr__(self) -> str:
        return f"<Memo {len(self._new)}+{len(self._old)} of {2 * self._half}>"
