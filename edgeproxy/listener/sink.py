"""Where an answer's bytes go: a connection of HTTP/1.1, or one stream of many."""

from __future__ import annotations

from typing import Protocol


class Sink(Protocol):
    """Takes bytes; ``paused_writing`` once it has enough of them."""

    @property
    def paused_writing(self) -> bool:
        """The client does not take what was put here: whoever writes is to wait."""

    def put(self, data: bytes) -> None:
        """Send bytes, or keep them until they can be."""

    async def drain(self) -> None:
        """Wait until the client has taken enough to go on. Raises EdgeError if it left."""
