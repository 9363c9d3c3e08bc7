"""A verdict that is yet to come."""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any

from edgeproxy.http.message import Response


class Later:
    """What a plain request hook returns when it must wait: nothing begins before it is awaited, so that a client that
    leaves at once leaves nothing behind (a coroutine that nobody awaits is a warning)."""

    __slots__ = ("_begin",)

    def __init__(self, begin: Callable[[], Coroutine[Any, Any, Response | None]]) -> None:
        self._begin = begin

    def __await__(self) -> Generator[Any, None, Response | None]:
        return self._begin().__await__()
