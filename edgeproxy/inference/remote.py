"""Models by URL: fetched, checked, unpacked, and kept; what was fetched before serves while their source is away."""

from __future__ import annotations

import asyncio
import fcntl
import hashlib
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeproxy.inference.archive import ArchiveError, unpack
from edgeproxy.inference.folders import Place

if TYPE_CHECKING:
    import aiohttp

    from edgeproxy.config.models import RemoteModelConfig
    from edgeproxy.pipeline.middleware import Services

TIMEOUT: Final = 600.0  # seconds, for all of it
SILENCE: Final = 30.0  # seconds without a byte
PATIENCE: Final = 5.0  # seconds a start waits for the first attempts
TURN: Final = 1.0  # seconds to the next look while another worker is at it
AGAIN: Final = 5.0  # seconds to the second attempt after a failure; then twice as long each time
AGAIN_MOST: Final = 600.0
_CHUNK: Final = 1 << 16

logger = logging.getLogger("edgeproxy")


class RemoteError(Exception):
    """A source that does not give what it should; the text says why, and does not quote the URL."""


class Remotes:
    """``places`` are those fetched, in ``root``: ``<name>/<sha256 of the archive>/<name>/``."""

    def __init__(self, remote: Mapping[str, RemoteModelConfig], cache_folder: str | None, services: Services) -> None:
        """Raises ValueError if the folder cannot be written."""
        self._remote = remote
        self._http: Callable[[], aiohttp.ClientSession] = services.http
        self._root: Path | None = None
        self._own: tempfile.TemporaryDirectory[str] | None = None
        self._tasks: list[asyncio.Task[None]] = []
        if cache_folder is not None:
            self._root = _writable(Path(cache_folder))
        elif services.folder is not None:
            self._root = services.folder / "models"

    def places(self) -> dict[str, Place]:
        """By name, what was fetched last: that of the checksum wanted, or while there is none of that, another."""
        found = {name: self._place(name) for name in self._remote}
        return {name: place for name, place in found.items() if place is not None}

    async def start(self) -> None:
        """Begin to fetch what is not there, and wait a moment for it."""
        if not self._remote:
            return
        if self._root is None:
            self._own = tempfile.TemporaryDirectory(prefix="edgeproxy-models-")
            self._root = Path(self._own.name)
        first = {name: asyncio.Event() for name in self._remote}
        self._tasks = [asyncio.create_task(self._keep(self._root, name, tried)) for name, tried in first.items()]
        try:
            async with asyncio.timeout(PATIENCE):
                for tried in first.values():
                    await tried.wait()
        except TimeoutError:
            logger.warning("models: not all are fetched yet; going on without those")

    async def stop(self) -> None:
        tasks, self._tasks = self._tasks, []
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._own is not None:
            self._own.cleanup()
            self._own = self._root = None

    def _place(self, name: str) -> Place | None:
        if self._root is None:
            return None
        folder = self._root / name
        wanted = folder / self._remote[name].sha256
        try:
            kept = [wanted] if wanted.is_dir() else sorted(_kept(folder), key=lambda one: one.stat().st_mtime_ns)[-1:]
        except OSError:
            return None
        return Place(kept[0] / name, kept[0]) if kept else None

    async def _keep(self, root: Path, name: str, tried: asyncio.Event) -> None:
        """See to it that the archive of that checksum is there, and no other."""
        folder = root / name
        wanted = folder / self._remote[name].sha256
        failures = 0
        try:
            while not wanted.is_dir():
                wait = TURN
                try:
                    folder.mkdir(parents=True, exist_ok=True)
                    with _turn(folder / ".lock") as ours:
                        if ours and not wanted.is_dir():
                            await self._fetch(name, folder, wanted)
                            logger.info("models: %s: fetched", name)
                            break
                except (RemoteError, ArchiveError, OSError, TimeoutError) as error:
                    failures += 1
                    wait = min(AGAIN * 2 ** min(failures - 1, 16), AGAIN_MOST)
                    if failures == 1:
                        there = "keeping what was fetched before" if self._place(name) else "there is none yet"
                        logger.warning("models: %s: cannot be fetched: %s; %s", name, _said(error), there)
                tried.set()
                await asyncio.sleep(wait)
        finally:
            tried.set()
        await asyncio.to_thread(_drop_others, folder, wanted)

    async def _fetch(self, name: str, folder: Path, wanted: Path) -> None:
        """Raises RemoteError, ArchiveError, OSError, TimeoutError."""
        config = self._remote[name]
        with tempfile.TemporaryDirectory(dir=folder, prefix=".") as beside:
            archive, content = Path(beside, "archive"), Path(beside, "content")
            await self._download(config, archive)
            await asyncio.to_thread(unpack, archive, name, content, config.size)
            await asyncio.to_thread(content.rename, wanted)

    async def _download(self, config: RemoteModelConfig, archive: Path) -> None:
        import aiohttp

        digest, length = hashlib.sha256(), 0
        timeout = aiohttp.ClientTimeout(total=TIMEOUT, sock_read=SILENCE)
        fields = {"accept": "*/*", "accept-encoding": "identity"}
        try:
            with archive.open("wb") as file:
                async with self._http().get(
                    config.url, timeout=timeout, headers=fields, allow_redirects=False
                ) as answer:
                    if answer.status != 200:
                        raise RemoteError(f"its source answered {answer.status}")
                    async for chunk in answer.content.iter_chunked(_CHUNK):
                        length += len(chunk)
                        if length > config.size:
                            raise RemoteError(f"its source sent more than {config.size} bytes")
                        digest.update(chunk)
                        file.write(chunk)
        except aiohttp.ClientError as error:  # it may quote the URL
            raise RemoteError(type(error).__name__) from None
        if digest.hexdigest() != config.sha256:
            raise RemoteError(f"what its source sent has the SHA-256 {digest.hexdigest()}")

    def __repr__(self) -> str:
        return f"<Remotes {', '.join(self._remote)}>"


def _kept(folder: Path) -> list[Path]:
    """Raises OSError."""
    return [entry for entry in folder.iterdir() if entry.is_dir() and not entry.name.startswith(".")]


def _drop_others(folder: Path, wanted: Path) -> None:
    for other in _kept(folder):
        if other != wanted:
            shutil.rmtree(other, ignore_errors=True)


@contextmanager
def _turn(path: Path) -> Iterator[bool]:
    """Whether it is this worker's turn to fetch: false while another one does. Raises OSError."""
    with path.open("wb") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True


def _writable(path: Path) -> Path:
    """Raises ValueError unless the folder is there and may be written, or can be made."""
    there = next(parent for parent in (path, *path.parents) if parent.exists())
    if not there.is_dir() or not os.access(there, os.W_OK | os.X_OK):
        raise ValueError(f"models.cache_folder: {there} is no folder that may be written")
    return path


def _said(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or type(error).__name__
    return str(error) or type(error).__name__
