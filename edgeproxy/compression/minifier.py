"""Texts made smaller in a process of their own, one at a time, within a limit of time."""

from __future__ import annotations

import asyncio
from typing import Final

from edgeproxy.compression.minifier_process import HEAD, KINDS
from edgeproxy.confined.child import Child

# No secret of ours, no switch of others; one thread does, and Go cleans up before it has taken much memory.
_ENVIRONMENT: Final = {"GOMAXPROCS": "1", "GOMEMLIMIT": str(256 << 20)}
_NUMBERS: Final = {kind: number for number, kind in enumerate(KINDS)}


class MinifyError(Exception):
    """A text stays as it is. ``reason``: one of REASONS."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


# The process was busy with others, the text took too long, it cannot be read as its type says, the process ended.
REASONS: Final = ("queue", "time", "syntax", "process")


class Minifier:
    """``minify`` is all there is to it. The process is started with the first text, and anew after one that ended it.

    ``seconds``: how long a text may take, the wait for others included. ``queue``: how many may be in hand.
    """

    def __init__(self, seconds: float, queue: int) -> None:
        self.in_hand = 0
        self._seconds = seconds
        self._queue = queue
        self._turn = asyncio.Lock()
        self._starting: asyncio.Task[_Process] | None = None

    async def minify(self, kind: str, text: bytes) -> bytes:
        """A shorter text that means the same, of one of KINDS, both in UTF-8 and without NUL. Raises MinifyError."""
        if self.in_hand >= self._queue:
            raise MinifyError("queue")
        self.in_hand += 1
        try:
            async with asyncio.timeout(self._seconds), self._turn:
                return await self._ask(_NUMBERS[kind], text)
        except TimeoutError:
            raise MinifyError("time") from None
        finally:
            self.in_hand -= 1

    async def stop(self) -> None:
        """End the process; what it was at fails."""
        starting, self._starting = self._starting, None
        if starting is not None:
            starting.cancel()
            await asyncio.wait((starting,))
            if not starting.cancelled() and starting.exception() is None:
                await starting.result().end()

    async def _ask(self, number: int, text: bytes) -> bytes:
        starting = self._started()
        try:
            child = await asyncio.shield(starting)  # who comes next may still need it
        except (OSError, EOFError, TimeoutError) as error:
            if not starting.done():
                raise
            raise MinifyError("process") from error
        try:
            smaller = await child.ask(number, text)
        except (OSError, EOFError, ValueError):
            child.kill()
            raise MinifyError("process") from None
        except BaseException:  # it is still at a text that nobody waits for
            child.kill()
            raise
        if smaller is None:
            raise MinifyError("syntax")
        return smaller

    def _started(self) -> asyncio.Task[_Process]:
        """The process, or the one to come if there is none any more."""
        starting = self._starting
        if starting is not None:
            if not starting.done():
                return starting
            if not starting.cancelled() and starting.exception() is None:
                child = starting.result()
                if child.runs:
                    return starting
                child.kill()
        self._starting = asyncio.create_task(_Process.start())
        return self._starting

    def __repr__(self) -> str:
        return f"<Minifier {self.in_hand} in hand>"


class _Process(Child):
    @classmethod
    async def start(cls) -> _Process:
        """Start it and wait until it is ready. Raises OSError, EOFError, TimeoutError."""
        return await cls.run("edgeproxy.compression.minifier_process", environment=_ENVIRONMENT)

    async def ask(self, number: int, text: bytes) -> bytes | None:
        """The text made smaller, None if it cannot be read. Raises OSError, EOFError, ValueError."""
        await self.send(HEAD.pack(number, len(text)), text)
        done, length = HEAD.unpack(await self.receive(HEAD.size))
        if length > len(text):
            raise ValueError("longer than the text")
        smaller = await self.receive(length)
        return smaller if done else None
