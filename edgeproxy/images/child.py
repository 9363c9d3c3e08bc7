"""One process that makes pictures, seen from outside: started, asked, and ended at any time."""

from __future__ import annotations

import asyncio
import json
import os
import socket
import sys
from typing import Any, Final

from edgeproxy.images.plan import REASONS, TYPES, Bounds, Craft, Picture, Plan
from edgeproxy.images.process import LENGTHS, READY

START_WITHIN: Final = 10.0
END_WITHIN: Final = 5.0  # seconds; a killed process that hangs in the system is left to it
_TOLD: Final = 1_000  # bytes an answer's JSON may have
_BODY: Final = 256_000_000  # bytes a variant may have, whatever its bounds
_FORMATS: Final = {kind.decode(): kind for kind in TYPES.values()}

# All there is: no secret of ours, no switch of others. glibc keeps freed memory for the next picture, which saves a
# thousand page faults each, 2 to 4 ms; what it keeps is gone with the process.
_ENVIRONMENT: Final = {
    "MALLOC_TRIM_THRESHOLD_": str(128 << 20),
    "MALLOC_MMAP_THRESHOLD_": str(32 << 20),
    "MALLOC_ARENA_MAX": "2",  # of address space, which is limited
    "VIPS_CONCURRENCY": "1",
}


class Answer:
    """What a child said: a picture, or the reason why there is none; and the CPU seconds it took."""

    __slots__ = ("cpu", "picture", "reason")

    def __init__(self, told: Any, body: bytes) -> None:
        """Raises ValueError for what no child of ours says: a decoder may have been taken over."""
        try:
            self.cpu = float(told["cpu"])
            self.reason = str(told.get("reason", ""))
            self.picture: Picture | None = None
            if not self.reason:
                kind = _FORMATS[told["content_type"]]
                self.picture = Picture(body, kind, int(told["width"]), int(told["height"]), bool(told["unhurried"]))
        except (AttributeError, KeyError, TypeError) as error:
            raise ValueError("not an answer") from error
        if self.reason and self.reason not in REASONS:
            raise ValueError("not a reason")


class Child:
    """A running process. ``jobs``: how many it was given. Whatever is raised leaves one that has to be ended."""

    def __init__(self, process: asyncio.subprocess.Process, link: socket.socket) -> None:
        self._process = process
        self._link = link
        self.jobs = 0

    @classmethod
    async def start(cls, memory: int, niceness: int = 0, engine: str = "auto") -> Child:
        """Start one and wait until it is ready, for jobs of this engine. Raises OSError, EOFError, TimeoutError."""
        ours, theirs = socket.socketpair()
        ours.setblocking(False)
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-P",
                "-s",
                "-m",
                "edgeproxy.images.process",
                str(theirs.fileno()),
                str(memory),
                str(niceness),
                engine,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                pass_fds=[theirs.fileno()],
                cwd="/",
                env=_ENVIRONMENT | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        child = cls(process, ours)
        try:
            async with asyncio.timeout(START_WITHIN):
                await child._receive(len(READY))
        except BaseException:
            await child.end()
            raise
        return child

    @property
    def runs(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return self._process.returncode is None

    @property
    def pid(self) -> int:
        return self._process.pid

    async def ask(self, source: bytes, plan: Plan, bounds: Bounds, craft: Craft, within: float) -> Answer:
        """Give it a job, wait so many seconds for the answer. Raises OSError, EOFError, ValueError, TimeoutError."""
        self.jobs += 1
        loop = asyncio.get_running_loop()
        order = json.dumps((plan, bounds, craft)).encode()
        async with asyncio.timeout(within):
            await loop.sock_sendall(self._link, LENGTHS.pack(len(order), len(source)) + order)
            await loop.sock_sendall(self._link, source)
            told, length = LENGTHS.unpack(await self._receive(LENGTHS.size))
            if told > _TOLD or length > _BODY:
                raise ValueError("an answer out of all proportion")
            said = json.loads(await self._receive(told))
            return Answer(said, await self._receive(length))

    async def end(self) -> None:
        """Kill it, and wait for it to be gone. It holds nothing that would be lost."""
        self._link.close()
        if self.runs:
            try:
                self._process.kill()
            except ProcessLookupError:
                pass
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

    async def _receive(self, length: int) -> bytes:
        loop = asyncio.get_running_loop()
        content = bytearray(length)
        view, at = memoryview(content), 0
        while at < length:
            received = await loop.sock_recv_into(self._link, view[at:])
            if not received:
                raise EOFError
            at += received
        return bytes(content)

    def __repr__(self) -> str:
        return f"<Child {self.pid} jobs={self.jobs} {'runs' if self.runs else 'ended'}>"
