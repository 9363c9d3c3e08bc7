"""One confined process, seen from outside: started, spoken with over a socket, and ended at any time."""

from __future__ import annotations

import asyncio
import os
import socket
import sys
from collections.abc import Mapping
from typing import Final, Self

from edgeproxy.confined.inside import READY

START_WITHIN: Final = 10.0
END_WITHIN: Final = 5.0  # seconds; a killed process that hangs in the system is left to it


class Child:
    """A running process. Whatever is raised leaves one that has to be ended."""

    def __init__(self, process: asyncio.subprocess.Process, link: socket.socket) -> None:
        self._process = process
        self._link = link
        self._killed = False

    @classmethod
    async def run(cls, module: str, *arguments: object, environment: Mapping[str, str]) -> Self:
        """Run a module, whose arguments are the number of its socket and these, and wait until it says that it is
        ready. All it has of the environment is this one. Raises OSError, EOFError, TimeoutError."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-s",
                "-m",
                module,
                str(theirs.fileno()),
                *map(str, arguments),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd="/",
                env={**environment, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        child = cls(process, ours)
        try:
            async with asyncio.timeout(START_WITHIN):
                await child.receive(len(READY))
        except BaseException:
            await child.end()
            raise
        return child

    @property
    def runs(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return not self._killed and self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ended(self, within: float) -> int | None:
        """How it ended by itself: its exit status, or minus the number of a signal; None if it has not in that time.

        To be asked before it is killed: whoever kills takes the status of one that has ended.
        """
        try:
            async with asyncio.timeout(within):
                return await self._process.wait()
        except TimeoutError:
            return None

    async def send(self, *parts: bytes) -> None:
        """Write it all. Raises OSError."""
        loop = asyncio.get_running_loop()
        for part in parts:
            await loop.sock_sendall(self._link, part)

    async def receive(self, length: int) -> bytes:
        """So many bytes. Raises OSError, EOFError."""
        loop = asyncio.get_running_loop()
        content = bytearray(length)
        view, at = memoryview(content), 0
        while at < length:
            received = await loop.sock_recv_into(self._link, view[at:])
            if not received:
                raise EOFError
            at += received
        return bytes(content)

    def kill(self) -> None:
        """It holds nothing that would be lost."""
        self._killed = True
        self._link.close()
        if self._process.returncode is None:
            try:
                self._process.kill()
            except ProcessLookupError:
                pass

    async def end(self) -> None:
        """Kill it, and wait for it to be gone."""
        self.kill()
        gone = asyncio.ensure_future(self._process.wait())
        cancelled = False
        while not gone.done():  # to be cancelled is no reason to leave it behind, and it takes a moment
            try:
                await asyncio.wait((gone,), timeout=END_WITHIN)
                break
            except asyncio.CancelledError:
                cancelled = True
        if cancelled:
            raise asyncio.CancelledError

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.pid} {'runs' if self.runs else 'ended'}>"
