"""A model's folder in a ``tar.gz``: unpacked file by file, by rules of our own, into a folder made for it."""

from __future__ import annotations

import gzip
import re
import shutil
import tarfile
import zlib
from pathlib import Path, PurePosixPath
from typing import IO, Final

from edgeproxy.inference.manifest import FILE

MOST: Final = 1_000  # files and folders
DEPTH: Final = 4
_PART: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,127}")
_HEADS: Final = 1_000_000  # bytes that are not files' content


class ArchiveError(ValueError):
    """An archive that is not unpacked; the text says why."""


def unpack(archive: Path, name: str, into: Path, largest: int) -> None:
    """Write ``into/name/…``: plain files with plain names, no more bytes than ``largest``, no links, no devices, no
    owners and no modes of the archive's. Raises ArchiveError, OSError."""
    try:
        with _Bounded(archive, largest + _HEADS) as plain, tarfile.open(fileobj=plain, mode="r|") as tar:
            for count, member in enumerate(tar, 1):
                if count > MOST:
                    raise ArchiveError(f"it has more than {MOST} files")
                path = _path(member, name)
                if member.isdir():
                    (into / path).mkdir(parents=True, exist_ok=True)
                    continue
                content = tar.extractfile(member) if member.isreg() else None
                if content is None:
                    raise ArchiveError(f"{_short(member.name)} is neither a file nor a folder")
                _write(content, into / path)
    except (tarfile.TarError, zlib.error, EOFError, gzip.BadGzipFile) as error:
        raise ArchiveError(f"not a tar.gz, or a damaged one: {error}") from None
    if not (into / name / FILE).is_file():
        raise ArchiveError(f"there is no {name}/{FILE} in it")


def _path(member: tarfile.TarInfo, name: str) -> Path:
    path = PurePosixPath(member.name)
    parts = path.parts
    if parts[:1] != (name,) or len(parts) > DEPTH or not all(_PART.fullmatch(part) for part in parts):
        raise ArchiveError(f"{_short(member.name)} is not a name below {name}/")
    return Path(*parts)


def _write(content: IO[bytes], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("xb") as file:  # twice is one time too many
        shutil.copyfileobj(content, file)


def _short(name: str) -> str:
    return repr(name[:60])


class _Bounded(gzip.GzipFile):
    """What is in a file, of which so many bytes can be read."""

    def __init__(self, path: Path, most: int) -> None:
        super().__init__(path, "rb")
        self._most = most

    def read(self, size: int | None = -1) -> bytes:
        content = super().read(size)
        self._most -= len(content)
        if self._most < 0:
            raise ArchiveError("it unpacks to more than it may")
        return content
