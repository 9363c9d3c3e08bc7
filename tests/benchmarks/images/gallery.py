"""The pictures asked for: taken from a package or drawn, each with its author and licence (pictures.toml)."""

from __future__ import annotations

import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from PIL import Image

from tests.benchmarks.errors import BenchmarkError
from tests.support import pictures

MANIFEST = Path(__file__).with_name("pictures.toml")
_DRAWN_BY = {"photo": pictures.photo, "graphic": pictures.graphic}


@dataclass(frozen=True, slots=True)
class Original:
    """One picture as the origin serves it. ``size``: width and height in pixels."""

    name: str
    path: Path
    author: str
    licence: str
    source: str
    size: tuple[int, int]

    @property
    def bytes(self) -> int:
        return self.path.stat().st_size


def gather(folder: Path) -> list[Original]:
    """All of them, as files in ``folder``. Raises BenchmarkError where the package cannot be had."""
    manifest = tomllib.loads(MANIFEST.read_text())
    folder.mkdir(parents=True, exist_ok=True)
    unpacked = folder.parent / "package"
    if any("file" in entry for entry in manifest["picture"]) and not unpacked.is_dir():
        _unpack(manifest["package"], unpacked)
    return [_original(entry, manifest, unpacked, folder) for entry in manifest["picture"]]


def _original(entry: dict[str, Any], manifest: dict[str, Any], unpacked: Path, folder: Path) -> Original:
    path = folder / entry["name"]
    if "file" in entry:
        shutil.copyfile(unpacked / manifest["folder"] / entry["file"], path)
        author, licence = entry["author"], entry["licence"]
        source = f"`{entry['file']}` in Debian's {manifest['package']}"
    else:
        how = dict(entry["drawn"])
        maker = _DRAWN_BY[how.pop("by")]
        path.write_bytes(pictures.encode(maker(**how), "PNG"))
        author, licence = "this project", "Apache-2.0"
        source = f"drawn by `{maker.__name__}` of `tests/support/pictures.py`"
    with Image.open(path) as picture:
        return Original(entry["name"], path, author, licence, source, picture.size)


def _unpack(package: str, target: Path) -> None:
    """A Debian package's files, not installed."""
    target.mkdir(parents=True)
    for command in (["apt-get", "download", package], ["sh", "-c", "dpkg-deb -x ./*.deb ."]):
        done = subprocess.run(command, cwd=target, capture_output=True, text=True, check=False)
        if done.returncode:
            shutil.rmtree(target)
            raise BenchmarkError(f"{' '.join(command)} failed: {done.stderr[-1000:]}")
