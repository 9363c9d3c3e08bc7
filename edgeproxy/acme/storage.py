"""Where a run keeps what it makes: the node's folder, and Redis where nodes share it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

from edgeproxy.acme.files import Files
from edgeproxy.acme.region import Region
from edgeproxy.redis.link import UnavailableError

logger = logging.getLogger("edgeproxy.acme")

SETTLE = 10.0  # seconds at most for other nodes to take a challenge
LOOK = 0.1  # seconds between looks at whether they have

T = TypeVar("T")


class Storage:
    """A folder. Raises OSError."""

    def __init__(self, files: Files) -> None:
        self.files = files

    @contextmanager
    def turn(self) -> Iterator[str]:
        """For as long as the block lasts nobody else renews; "" if so, else why not."""
        with self.files.alone() as alone:
            yield "" if alone else "another process of this node renews"

    def read(self, path: str) -> bytes | None:
        return self.files.read(path)

    def write(self, path: str, content: bytes) -> None:
        self.files.write(path, content)

    def drop(self, path: str) -> None:
        self.files.drop(path)

    def settle(self) -> None:
        """Wait until all nodes that share it have what was written."""

    def keep_turn(self) -> None:
        """Say that the turn still lasts."""


class SharedStorage(Storage):
    """A folder whose files other nodes have too. ``region`` makes this process's part in that. While Redis does not
    answer, nobody's turn begins; a turn that has begun goes on, and what it makes is shared later."""

    def __init__(self, files: Files, region: Callable[[], Region]) -> None:
        super().__init__(files)
        self._new_region = region
        self._runner = asyncio.Runner()
        self._region: Region | None = None

    @contextmanager
    def turn(self) -> Iterator[str]:
        with self._runner, super().turn() as busy:
            if busy:
                yield busy
                return
            self._region = region = self._runner.run(self._open())
            try:
                if not self._run(region.hold()):
                    yield "another node renews"
                    return
                self._run(region.same())
            except UnavailableError as error:
                yield f"redis does not answer: {error}"
            else:
                try:
                    yield ""
                finally:
                    self._try(region.let_go())
            finally:
                self._run(region.close())
                self._region = None

    def write(self, path: str, content: bytes) -> None:
        at = time.time_ns()
        if self._region is not None:  # first there: what is not there, another process of this node may drop here
            self._try(self._region.give(path, content, at))
        self.files.copy(path, content, at)

    def drop(self, path: str) -> None:
        super().drop(path)
        if self._region is not None:
            self._try(self._region.give(path, b"", time.time_ns()))

    def settle(self) -> None:
        if self._region is None:
            return
        until = time.monotonic() + SETTLE
        while time.monotonic() < until and self._try(self._region.taken()) is False:
            time.sleep(LOOK)

    def keep_turn(self) -> None:
        if self._region is not None:
            self._try(self._region.hold())

    async def _open(self) -> Region:
        return self._new_region()

    def _run(self, work: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(work)

    def _try(self, work: Coroutine[Any, Any, T]) -> T | None:
        try:
            return self._runner.run(work)
        except UnavailableError as error:
            logger.warning("redis does not answer: %s", error)
            return None
