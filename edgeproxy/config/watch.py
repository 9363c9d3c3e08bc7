"""Watches files by asking for their status: right on every file system, and through a ConfigMap's symbolic links."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from edgeproxy.config.schema import Config

Status = tuple[int, int, int] | None  # modified (ns), size (bytes), inode; None: not there
Stat = Callable[[str], Status]


def status(path: str) -> Status:
    """A file's status, of what a symbolic link leads to."""
    try:
        found = Path(path).stat()
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
    """Notices that files changed, once per change, when two looks in a row found the same: what is still being written
    is not read. A file that goes away is no change; its return is one.
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
        changed = {file: now for file, now in seen.items() if now is not None and now != self._settled[file]}
        settled = bool(changed) and seen == self._last
        self._last = seen
        if settled:
            self._settled |= changed
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
