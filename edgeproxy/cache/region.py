"""Purges between nodes, through a stream in Redis.

The node that was asked writes; every node reads, and goes on where it was when its connection comes back. The stream
holds the last thousand; whoever was away for longer than that forgets everything. Where Redis itself has forgotten (it
was started anew without its data), each node writes again what it was asked lately.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
from collections import deque
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from edgeproxy.cache import marks
from edgeproxy.cache.purge import REMEMBERED, Purge, from_json
from edgeproxy.clock import Clock
from edgeproxy.observe.metrics import Metrics
from edgeproxy.redis.link import Link, Settings, UnavailableError, connect, disconnect, end

logger = logging.getLogger("edgeproxy.redis")

BEAT = 2.0  # seconds without a purge after which Redis is asked whether it still knows what it knew
AGAIN = 0.25  # seconds between attempts to come back
MOST_AT_ONCE = 100
MOST_ASKED = 1_000  # purges of this node that are written again where Redis forgot them

NOTE = "purges-read.json"

Hear = Callable[[list[Purge]], Awaitable[None]]


class Region:
    """One node's part in it. ``hear`` does what other nodes were asked to. Where stored answers outlive the process, in
    ``folder``, how far it has read is kept there too.
    """

    def __init__(
        self, settings: Settings, hear: Hear, clock: Clock, metrics: Metrics, folder: Path | None = None
    ) -> None:
        self.settings = settings
        self.folder = folder
        self._hear = hear
        self._clock = clock
        self._node = os.urandom(8).hex()
        self._keys = marks.keys(settings.prefix)
        self._link = Link(settings._replace(timeout=1.0), "telling other nodes of purges", clock, metrics)
        self._asked: deque[Purge] = deque(maxlen=MOST_ASKED)
        self._untold: deque[Purge] = deque(maxlen=MOST_ASKED)
        self._epoch, self._number = "", 0  # what this node has read
        self._contact = 0.0  # wall seconds when it last was
        self._tasks: list[asyncio.Task[None]] = []
        self._heard = metrics.counter("edgeproxy_region_purges_total", "Purges told and heard.", ("direction",))

    def start(self) -> None:
        """Begin to read; within a running loop."""
        self._remember()
        loop = asyncio.get_running_loop()
        self._tasks = [loop.create_task(self._link.watch()), loop.create_task(self._follow_always())]

    async def close(self) -> None:
        await end(self._tasks)
        await self._link.close()

    async def tell(self, purges: list[Purge]) -> list[str]:
        """Tell all other nodes, and mark it in Redis; returns what went wrong. Those that could not be told are told
        when Redis is back."""
        self._asked.extend(purges)
        for place, purge in enumerate(purges):
            try:
                await self._write(purge)
            except UnavailableError as error:
                self._untold.extend(purges[place:])
                return [f"redis: {error}; other nodes hear of it when it is back"]
        return []

    async def _write(self, purge: Purge) -> None:
        message = json.dumps({**purge.to_json(), "node": self._node})
        arguments = marks.arguments(purge, _new_epoch(), message)
        await self._link.call(lambda client: client.eval(marks.PURGE, 2, *self._keys, *arguments))
        self._heard.inc("told")

    async def _follow_always(self) -> None:
        while True:
            await self._follow()
            await asyncio.sleep(AGAIN)

    async def _follow(self) -> None:
        """Join, and read until the connection breaks."""
        from redis.exceptions import RedisError

        client = connect(self.settings._replace(connections=2), within=2 * BEAT)
        try:
            while True:
                await self._join(client)
                while await self._read(client):
                    pass
        except (RedisError, OSError, TimeoutError, ValueError) as error:
            logger.debug("purges of other nodes are not heard: %s", error)
        finally:
            await disconnect(client)

    async def _join(self, client: Any) -> None:
        """Find out what Redis knows, and what of it was missed."""
        joined = await client.eval(marks.JOIN, 2, *self._keys, self._epoch, self._number, _new_epoch())
        epoch, number, first = joined[0].decode(), int(joined[1]), int(joined[2])
        now, newcomer = self._clock.wall(), not self._epoch
        forgotten = not newcomer and epoch != self._epoch
        missed = not newcomer and not forgotten and number > self._number and not 0 < first <= self._number + 1
        away = forgotten and now - self._contact > REMEMBERED
        if newcomer or missed:
            self._number = number
        elif forgotten:
            self._number = 0  # what others have written since
        self._epoch, self._contact = epoch, now
        if missed or away:
            logger.warning("purges of other nodes were missed: everything stored here is forgotten")
            await self._hear([Purge("all", b"", soft=False, at=now)])
        self._note()
        lately = self._clock.wall() - REMEMBERED
        again = [purge for purge in self._asked if purge.at >= lately] if forgotten else list(self._untold)
        self._untold.clear()
        for place, purge in enumerate(again):
            try:
                await self._write(purge)
            except UnavailableError:
                self._untold.extend(again[place:])
                break

    async def _read(self, client: Any) -> bool:
        """Hear what is new; False if nothing was for a while."""
        block = int(BEAT * 1000)
        found = await client.xread({self._keys.stream: f"{self._number}-0"}, count=MOST_AT_ONCE, block=block)
        self._contact = self._clock.wall()
        if not found:
            return False
        purges: list[Purge] = []
        ((_, messages),) = found
        for name, fields in messages:
            self._number = int(name.partition(b"-")[0])
            purge = self._of(fields)
            if purge is not None:
                purges.append(purge)
        if purges:
            self._heard.inc("heard", by=len(purges))
            await self._hear(purges)
        self._note()
        return True

    def _note(self) -> None:
        """Keep how far this node has come, for the next process."""
        if self.folder is None:
            return
        try:
            new = self.folder / (NOTE + ".new")
            new.write_text(json.dumps([self._epoch, self._number]))
            new.replace(self.folder / NOTE)
        except OSError as error:
            logger.warning("how far other nodes' purges were read cannot be kept: %s", error)

    def _remember(self) -> None:
        """Go on where the last process was; one that knows nothing is as good as one that was never there."""
        if self.folder is None:
            return
        try:
            file = self.folder / NOTE
            self._epoch, self._number = json.loads(file.read_text())
            self._contact = file.stat().st_mtime
        except (OSError, ValueError, TypeError):
            self._epoch, self._number = "", 0

    def _of(self, fields: dict[bytes, bytes]) -> Purge | None:
        """The purge of another node; None for one of our own. One that cannot be read stands for everything: too much
        rather than too little."""
        now = self._clock.wall()
        try:
            message = json.loads(fields[b"purge"])
            return None if message["node"] == self._node else from_json(message, now)
        except (ValueError, KeyError, TypeError):
            return Purge("all", b"", soft=False, at=now)

    def __repr__(self) -> str:
        return f"<Region {self._node} at {self._number}>"


def _new_epoch() -> str:
    return os.urandom(8).hex()
