"""One process that makes pictures, seen from outside: a job in, a picture or a reason out."""

from __future__ import annotations

import asyncio
import json
import socket
from typing import Any, Final

from edgeproxy.confined.child import Child
from edgeproxy.images.plan import REASONS, TYPES, Bounds, Craft, Picture, Plan
from edgeproxy.images.process import LENGTHS

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
    """What a painter said: a picture, or the reason why there is none; and the CPU seconds it took."""

    __slots__ = ("cpu", "picture", "reason")

    def __init__(self, told: Any, body: bytes) -> None:
        """Raises ValueError for what no painter of ours says: a decoder may have been taken over."""
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


class Painter(Child):
    """The process. ``jobs``: how many it was given."""

    def __init__(self, process: asyncio.subprocess.Process, link: socket.socket) -> None:
        super().__init__(process, link)
        self.jobs = 0

    @classmethod
    async def start(cls, memory: int, niceness: int = 0, engine: str = "auto") -> Painter:
        """Start one and wait until it is ready, for jobs of this engine. Raises OSError, EOFError, TimeoutError."""
        return await cls.run("edgeproxy.images.process", memory, niceness, engine, environment=_ENVIRONMENT)

    async def ask(self, source: bytes, plan: Plan, bounds: Bounds, craft: Craft, within: float) -> Answer:
        """Give it a job, wait so many seconds for the answer. Raises OSError, EOFError, ValueError, TimeoutError."""
        self.jobs += 1
        order = json.dumps((plan, bounds, craft)).encode()
        async with asyncio.timeout(within):
            await self.send(LENGTHS.pack(len(order), len(source)) + order, source)
            told, length = LENGTHS.unpack(await self.receive(LENGTHS.size))
            if told > _TOLD or length > _BODY:
                raise ValueError("an answer out of all proportion")
            said = json.loads(await self.receive(told))
            return Answer(said, await self.receive(length))
