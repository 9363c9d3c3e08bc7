"""The folder where certificates lie that an authority gave, and how it is written and read by processes at the same
time.

    certificates/NAME.pem           a private key, its certificate, the rest of the chain
    challenges/tls-alpn/NAME.pem    a key and the certificate of a proof (RFC 8737)
    wanted/NAME                     a name that was asked for and has no certificate

Key and certificate are one file: one rename changes both. ``*.example.com`` is written ``_.example.com``. All of it is
for the user's eyes alone.
"""

from __future__ import annotations

import os
import re
import tempfile
from pathlib import Path
from typing import Final

WANTED_MOST: Final = 1_000
SETTLED: Final = 2.0  # seconds after which a folder's time of change tells two changes apart on every file system
_LONGEST_NAME: Final = 253
_NAME: Final = re.compile(r"(?:\*\.)?(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*")
_WILD, _WILD_FILE = "*.", "_."


class CertificateStore:
    """The folder at ``path``."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.certificates = path / "certificates"
        self.challenges = path / "challenges" / "tls-alpn"
        self._wanted = path / "wanted"

    def prepare(self) -> None:
        """Make the folders that are not there. Raises OSError, also if others may look into them."""
        for folder in (self.path, self.certificates, self.challenges.parent, self.challenges, self._wanted):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self.path.stat().st_mode & 0o077:
            raise PermissionError(f"{self.path} is open to other users; chmod 700 {self.path}")

    def certificate(self, name: str) -> Path:
        """Raises ValueError for what is no name."""
        return self.certificates / f"{file_of(name)}.pem"

    def challenge(self, name: str) -> Path:
        """Raises ValueError for what is no name."""
        return self.challenges / f"{file_of(name)}.pem"

    def put(self, path: Path, data: bytes) -> None:
        """Write a file whole: who reads it has the old content or the new. Raises OSError."""
        descriptor, temporary = tempfile.mkstemp(prefix=".", dir=path.parent)  # 0600
        try:
            with os.fdopen(descriptor, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(temporary).replace(path)
        except BaseException:
            Path(temporary).unlink(missing_ok=True)
            raise

    def drop(self, path: Path) -> None:
        """Remove a file, if it is there. Raises OSError."""
        path.unlink(missing_ok=True)

    def names(self) -> list[str]:
        """Of the certificates that are there."""
        return sorted(name_of(path.stem) for path in _files(self.certificates) if path.suffix == ".pem")

    def want(self, name: str) -> bool:
        """Ask for a certificate; False if too many are asked for already, or it cannot be written down. Raises
        ValueError for what is no name."""
        marker = self._wanted / file_of(name)
        try:
            if not marker.exists():
                if len(_files(self._wanted)) >= WANTED_MOST:
                    return False
                marker.touch(mode=0o600)
        except OSError:
            return False
        return True

    def wanted(self) -> list[str]:
        """The names asked for, those that wait longest first."""
        waiting = []
        for marker in _files(self._wanted):
            try:
                waiting.append((marker.stat().st_mtime_ns, name_of(marker.name)))
            except FileNotFoundError:
                continue
        return [name for _, name in sorted(waiting)]

    def unwant(self, name: str) -> None:
        """A name need not be asked for any more. Raises OSError."""
        (self._wanted / file_of(name)).unlink(missing_ok=True)

    def __repr__(self) -> str:
        return f"<CertificateStore {self.path}>"


def file_of(name: str) -> str:
    """A name as its files are called, without an ending. Raises ValueError for what is none."""
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise ValueError(f"{name[:80]!r} is not a name that a certificate could be for")
    return _WILD_FILE + name.removeprefix(_WILD) if name.startswith(_WILD) else name


def name_of(file: str) -> str:
    """The other way round, whatever file that is."""
    return _WILD + file.removeprefix(_WILD_FILE) if file.startswith(_WILD_FILE) else file


def _files(folder: Path) -> list[Path]:
    """Those that are whole; none if the folder is not there."""
    try:
        return [path for path in folder.iterdir() if not path.name.startswith(".")]
    except OSError:
        return []
