"""The MMDB files of a stage, one over the other, taken anew when they change."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Iterable
from pathlib import Path

from edgeproxy.geo.layout import merge
from edgeproxy.geo.mmdb import Database, open_database
from edgeproxy.pipeline.exchange import Place

LOOK_EVERY = 2.0  # seconds

logger = logging.getLogger("edgeproxy")

Signature = tuple[int, int, int]


class Files:
    """``find`` says where an address is, by what all files say of it, earlier ones first.

    ``folder`` is the one the node's workers share. ``changed`` is called when another file has come into service;
    ``count`` is told the outcome of each attempt, ``ok`` or ``refused``, beside the file's name.
    """

    def __init__(
        self,
        paths: Iterable[str],
        folder: Path | None,
        changed: Callable[[], None],
        count: Callable[[str, str], None],
    ) -> None:
        self._files = [_File(path, folder) for path in paths]
        self._changed = changed
        self._count = count
        self._task: asyncio.Task[None] | None = None

    def open(self) -> None:
        """Open what is not open yet. Raises ValueError naming the file that cannot be used."""
        for file in self._files:
            if file.database is None:
                try:
                    file.open()
                except (OSError, ValueError) as error:
                    raise ValueError(f"{file.path} cannot be used: {error}") from None

    async def start(self) -> None:
        """Open the files, and begin to look after them. Raises ValueError."""
        await asyncio.to_thread(self.open)
        self._changed()
        self._task = asyncio.create_task(self._run())

    async def stop(self) -> None:
        task, self._task = self._task, None
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        for file in self._files:
            file.leave()

    def find(self, address: str) -> Place:
        """Where an IP address (canonical text) is."""
        return merge([file.database.find(address) for file in self._files if file.database is not None])

    def built(self) -> list[tuple[str, float]]:
        """The name of each file, and when its content was made, in seconds since 1970."""
        return [(file.name, file.database.built) for file in self._files if file.database is not None]

    async def look(self) -> None:
        """Take what has changed since the last look but one, and stood still since the last: nobody is writing it."""
        for file in self._files:
            try:
                taken = await asyncio.to_thread(file.look)
            except (OSError, ValueError) as error:
                self._count(file.name, "refused")
                logger.warning("geo: %s: %s; keeping the one there was", file.path, error)
                continue
            if taken:
                self._changed()
                self._count(file.name, "ok")
                logger.info("geo: %s: taken anew", file.path)

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY)
            await self.look()

    def __repr__(self) -> str:
        return f"<Files {', '.join(f'{file.name}: {file.database!r}' for file in self._files)}>"


class _File:
    """One file: what is open of it, what it looked like then, and when it was last seen."""

    def __init__(self, path: str, folder: Path | None) -> None:
        self.path = path
        self.name = Path(path).name
        self.database: Database | None = None
        self._folder = folder
        self._tried: Signature | None = None
        self._seen: Signature | None = None

    def open(self) -> None:
        """Raises OSError, ValueError."""
        self._tried = self._seen = self._signature()
        self.database = open_database(self.path, self._folder)

    def look(self) -> bool:
        """Whether another content was taken. Raises OSError and ValueError for one that cannot be, once each."""
        now = self._signature()
        before, self._seen = self._seen, now
        if now == self._tried or now != before:
            return False
        self._tried = now
        if now is None:
            raise OSError("it is gone")
        old, fresh = self.database, open_database(self.path, self._folder)
        if self._signature() != now:  # written to meanwhile
            self._tried = None
            return False
        self.database = fresh
        if old is not None and old.copy != fresh.copy:
            _remove(old)
        return True

    def leave(self) -> None:
        """Remove the copy, which who has mapped it keeps, and others make anew."""
        if self.database is not None:
            _remove(self.database)

    def _signature(self) -> Signature | None:
        """What is another when the file is written or replaced; None while there is none."""
        try:
            found = Path(self.path).stat()
        except OSError:
            return None
        return found.st_mtime_ns, found.st_ino, found.st_size


def _remove(database: Database) -> None:
    """Only what lies in the shared folder: another place of it is a descriptor that is closed already."""
    if database.copy.suffix == ".mmdb":
        database.copy.unlink(missing_ok=True)
