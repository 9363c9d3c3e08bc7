"""A request's body on its way in."""

from __future__ import annotations

from collections.abc import Callable

from edgeproxy.http.body import Pipe
from edgeproxy.http.grpc import is_grpc
from edgeproxy.http.message import UNKNOWN_LENGTH, Request
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


class StreamBody(Pipe):
    """A client's body on one stream of many. ``on_taken`` hears of the bytes its reader has had, so that as many more
    may come; ``on_wanted`` of its first read, if the client waits for that."""

    __slots__ = ("_on_taken", "_on_wanted")

    def __init__(
        self, length: int, on_taken: Callable[[int], None], on_wanted: Callable[[], None] | None = None
    ) -> None:
        super().__init__(None if length == UNKNOWN_LENGTH else length)
        self._on_taken = on_taken
        self._on_wanted = on_wanted

    async def read(self) -> bytes:
        wanted, self._on_wanted = self._on_wanted, None
        if wanted is not None and not self._size and not self._done:
            wanted()
        return await super().read()

    def close(self) -> None:
        size = self._size
        super().close()
        if size:
            self._on_taken(size)

    def let_go(self) -> None:
        """The stream is over: what nobody has read yet takes no room any more."""
        size, taken = self._size, self._on_taken
        self._on_taken = _nothing
        if size:
            taken(size)

    def _drain(self) -> bytes:
        data = super()._drain()
        self._on_taken(len(data))
        return data


def is_limited(request: Request) -> bool:
    """Whether the limits of bodies hold for it. A call may be silent for long and send as much as it likes: its pool's
    time-outs bound it."""
    return not is_grpc(request.headers)


def _nothing(_: int) -> None:
    """Nobody counts."""
