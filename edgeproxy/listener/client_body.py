"""A request's body on its way in."""

from __future__ import annotations

from collections.abc import Callable

from edgeproxy.http.body import Pipe
from edgeproxy.http.message import UNKNOWN_LENGTH
from edgeproxy.listener.flow import Flow


class ClientBody(Pipe):
    """A client's body. Its first read calls ``on_wanted``, which tells a waiting client to send (RFC 9110 §10.1.1)."""

    __slots__ = ("_on_wanted",)

    def __init__(self, length: int, flow: Flow, on_wanted: Callable[[], None] | None) -> None:
        super().__init__(None if length == UNKNOWN_LENGTH else length, pause=flow.hold, resume=flow.unhold)
        self._on_wanted = on_wanted

    @property
    def awaited(self) -> bool:
        """The client waits to be told to send."""
        return self._on_wanted is not None

    async def read(self) -> bytes:
        wanted, self._on_wanted = self._on_wanted, None
        if wanted is not None and not self._size and not self._done:
            wanted()
        return await super().read()
