"""What has been asked for already: a file of URLs, by which a run that was stopped goes on."""

from __future__ import annotations

from io import BufferedWriter
from pathlib import Path
from typing import Self

_HEAD = b"# edgeproxy warm: asked for already\n"


class State:
    """URLs that are done. Each is in the file as soon as it was added; a half-written last line does not count.

    ``path``: None to remember nothing. Raises OSError if the file cannot be used, ValueError if it is another's.
    """

    def __init__(self, path: Path | None) -> None:
        self.done: set[str] = set()
        self._path = path
        self._file: BufferedWriter | None = None
        if path is None:
            return
        kept = path.read_bytes() if path.exists() else b""
        if kept and not kept.startswith(_HEAD):
            raise ValueError(f"{path} is no state file of edgeproxy warm")
        whole = kept[: kept.rfind(b"\n") + 1]
        self.done.update(line.decode("ascii", "replace") for line in whole.removeprefix(_HEAD).splitlines())
        self._file = path.open("ab")
        self._file.truncate(len(whole))
        if not whole:
            self._file.write(_HEAD)
            self._file.flush()

    def add(self, url: str) -> None:
        self.done.add(url)
        if self._file is not None:
            self._file.write(url.encode("ascii") + b"\n")
            self._file.flush()

    def forget(self) -> None:
        """All is done: the next run begins anew."""
        if self._path is not None:
            self._path.unlink(missing_ok=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._file is not None:
            self._file.close()
