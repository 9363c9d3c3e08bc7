"""Watches files by asking for their status: right on every file system, and through the symbolic links of a ConfigMap."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Awaitable, Callable, Iterable

from edgeproxy.config.schema import Config

Status = tuple[int, int, int] | None  # modified (ns), size (bytes), inode; None: not there
Stat = Callable[[str], Status]


def status(path: str) -> Status:
    """A file's status, of what a symbolic link leads to."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def files_of(path: str, config: Config) -> list[str]:
    """The configuration's own file and the certificates it names."""
    files = [path]
    for listener in config.listeners:
        if listener.tls is not None:
            files += [file for pair in listener.tls.certificates for file in (pair.certificate, pair.key)]
            files += [listener.tls.client_ca] if listener.tls.client_ca else []
    files += [pool.tls.ca for pool in config.pools.values() if pool.tls.ca]
    return sorted(set(files))


class Watch:
    """Notices that files changed, once per change, when two looks in a row found the same and every file is there:
    what is still being written or swapped is not read.
    """

    def __init__(self, files: Iterable[str], stat: Stat = status) -> None:
        self._stat = stat
        self._settled: dict[str, Status] = {}
        self._last: dict[str, Status] = {}
        self.watch(files)

    def watch(self, files: Iterable[str]) -> None:
        """Watch these files from now on; those watched already keep what is known of them."""
        self._settled = {file: self._settled[file] if file in self._settled else self._stat(file) for file in files}
        self._last = dict(self._settled)

    def look(self) -> bool:
        """Whether a change has settled since it was last said."""
        seen = {file: self._stat(file) for file in self._settled}
        settled = seen == self._last and seen != self._settled and None not in seen.values()
        self._last = seen
        if settled:
            self._settled = seen
        return settled

    async def run(
        self,
        changed: Callable[[], Awaitable[None]],
        every: float = 1.0,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        """Look ``every`` so many seconds and call ``changed`` once for each change, until cancelled."""
        while True:
            await sleep(every)
            if self.look():
                await changed()

    def __repr__(self) -> str:
        return f"<Watch {len(self._settled)} files>"
