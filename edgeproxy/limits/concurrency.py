"""How much is under way at once, per key."""

from __future__ import annotations

from collections.abc import Callable

from edgeproxy.http.message import Response
from edgeproxy.limits.keys import KeyOf
from edgeproxy.limits.whom import Whom
from edgeproxy.pipeline.exchange import Exchange


class Places:
    """``most`` places a key. Only keys that hold one are remembered: as many as there are exchanges under way."""

    __slots__ = ("_held", "key", "most", "whom")

    def __init__(self, most: int, key: KeyOf, whom: Whom) -> None:
        self.most = most
        self.key = key
        self.whom = whom
        self._held: dict[bytes, int] = {}

    def take(self, key: bytes) -> bool:
        """Take a place, if one is left."""
        held = self._held.get(key, 0)
        if held >= self.most:
            return False
        self._held[key] = held + 1
        return True

    def give(self, key: bytes) -> None:
        """Give a taken place back."""
        held = self._held[key] - 1
        if held:
            self._held[key] = held
        else:
            del self._held[key]

    def __len__(self) -> int:
        return len(self._held)

    def __repr__(self) -> str:
        return f"<Places {sum(self._held.values())} held by {len(self._held)} keys, {self.most} each>"


class Crowd:
    """Takes a place in each of the limits for an exchange, or in none; ``refuse`` makes the answer of the limit at that
    index. The exchange bears what it holds, so that it gives back exactly that, once, however it ends."""

    __slots__ = ("_limits", "_refuse")

    def __init__(self, limits: list[Places], refuse: Callable[[int], Response]) -> None:
        self._limits = limits
        self._refuse = refuse

    def enter(self, x: Exchange) -> Response | None:
        """Take the places, or the answer that there is none: the request hook."""
        if x.aside:  # it would never give its place back; who makes these bounds them
            return None
        held: list[tuple[int, bytes]] = []
        index = -1
        for limit in self._limits:
            index += 1
            if not limit.whom.concerns(x):
                continue
            key = limit.key(x)
            if not limit.take(key):
                for earlier, taken in held:
                    self._limits[earlier].give(taken)
                return self._refuse(index)
            held.append((index, key))
        x.held = tuple(held)
        return None

    def leave(self, x: Exchange) -> None:
        """The log hook: it runs for every exchange, also for those that never got as far as this stage."""
        held, x.held = x.held, ()
        for index, key in held:
            self._limits[index].give(key)
