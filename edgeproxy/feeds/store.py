"""Fetched lists, kept in files: all workers of a node read what one of them fetched, and a restart finds it again."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple


class Kept(NamedTuple):
    """What is known of a list: the digest of its content ("" for none), its validators (RFC 9110 §8.8), when its source
    last said that this is it, when it was last asked, and how often it failed since. Times are seconds since 1970."""

    digest: str = ""
    etag: str = ""
    modified: str = ""
    confirmed: float = 0.0
    asked: float = 0.0
    failures: int = 0


NOTHING = Kept()


class Store:
    """One list's files in ``folder``, named by its feed and its address. Raises OSError where there is no place."""

    def __init__(self, folder: Path, name: str, url: str) -> None:
        self._folder = folder
        self._base = f"feed-{name}-{hashlib.blake2b(url.encode(), digest_size=8).hexdigest()}"

    def state(self) -> Kept:
        """NOTHING where there is no state, or none that can be read."""
        try:
            told = json.loads(self._path("json").read_bytes())
            return _read(told) if isinstance(told, dict) else NOTHING
        except (OSError, ValueError, RecursionError, OverflowError):
            return NOTHING

    def content(self, digest: str) -> bytes | None:
        """The list itself, if it is the one of that digest."""
        try:
            content = self._path("list").read_bytes()
        except OSError:
            return None
        return content if digest_of(content) == digest else None

    def keep(self, state: Kept, content: bytes | None = None) -> None:
        """Write the state, and before it the content if that is another."""
        self._folder.mkdir(parents=True, exist_ok=True)
        if content is not None:
            self._write("list", content)
        self._write("json", json.dumps(state._asdict()).encode())

    @contextmanager
    def turn(self) -> Iterator[bool]:
        """Whether it is this worker's turn to ask the source: false while another one does."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with self._path("lock").open("wb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
            else:
                yield True

    def _path(self, suffix: str) -> Path:
        return self._folder / f"{self._base}.{suffix}"

    def _write(self, suffix: str, content: bytes) -> None:
        """All or nothing: what a reader or a power cut finds is the old file or the new one."""
        descriptor, name = tempfile.mkstemp(dir=self._folder, prefix=f"{self._base}.")
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            Path(name).replace(self._path(suffix))
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise


def digest_of(content: bytes) -> str:
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _read(told: dict[str, Any]) -> Kept:
    """Raises ValueError for values of other kinds."""
    text = [told.get(name) for name in ("digest", "etag", "modified")]
    numbers = [told.get(name) for name in ("confirmed", "asked", "failures")]
    if not all(isinstance(value, str) for value in text) or not all(
        isinstance(value, int | float) for value in numbers
    ):
        raise ValueError("not a state of ours")
    digest, etag, modified = map(str, text)
    confirmed, asked, failures = (float(str(number)) for number in numbers)
    return Kept(digest, etag, modified, confirmed, asked, int(failures))
