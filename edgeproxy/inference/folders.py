"""Where models lie, and how their files are read: nothing outside of their folder, nothing larger than it may be."""

from __future__ import annotations

import hashlib
import os
import re
import stat
from collections.abc import Container, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from edgeproxy.inference.manifest import FILE

MODEL: Final = "model.onnx"
MOST: Final = 1_000  # models in a folder, and versions of a model, that are looked at

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
_NUMBER: Final = re.compile(r"[1-9][0-9]{0,8}")
_PACKAGED: Final = Path(__file__).parents[1] / "models"
_CHECKOUT: Final = Path(__file__).parents[2] / "models"

Signature = dict[str, tuple[int, int, int]]


class Place(NamedTuple):
    """A model's folder, and the one that nothing of it may lead out of."""

    folder: Path
    root: Path


def shipped() -> Path:
    """The models that come with edgeproxy."""
    return _PACKAGED if _PACKAGED.is_dir() else _CHECKOUT


def places(root: Path, only: Container[str]) -> dict[str, Place]:
    """The models in a folder by name; ``only`` these, if there are any. Raises OSError."""
    with os.scandir(root) as entries:
        names = sorted(entry.name for entry in _first(entries) if _NAME.fullmatch(entry.name) and entry.is_dir())
    wanted = [name for name in names if not only or name in only]
    return {name: Place(root / name, root) for name in wanted if (root / name / FILE).is_file()}


def signature(place: Place) -> Signature:
    """What is another when a file of the model is: of the manifest under "", of each version under its number."""
    found = {"": _status(place.folder / FILE)}
    with os.scandir(place.folder) as entries:
        for entry in _first(entries):
            if _NUMBER.fullmatch(entry.name):
                found[entry.name] = _status(place.folder / entry.name / MODEL)
    return {key: status for key, status in found.items() if status is not None}


def read_model(place: Place, number: str, largest: int) -> tuple[bytes, str]:
    """A version's file and its SHA-256. Raises FileNotFoundError, OSError, ValueError."""
    descriptor = os.open(place.folder / number / MODEL, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    with os.fdopen(descriptor, "rb") as file:
        # Asked of the open file: what a path leads to may change between looking and opening.
        if not Path(f"/proc/self/fd/{descriptor}").readlink().is_relative_to(place.root.resolve()):
            raise ValueError("its file lies outside of the folder of models")
        status = os.fstat(descriptor)
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no file")
        if status.st_size > largest:
            raise ValueError(f"its file has {status.st_size} bytes; file_size allows {largest}")
        content = file.read(largest + 1)
    if len(content) > largest:
        raise ValueError(f"its file grew past file_size, {largest} bytes")
    return content, hashlib.sha256(content).hexdigest()


def leads_out(place: Place) -> bool:
    """Whether the manifest lies elsewhere."""
    return not (place.folder / FILE).resolve().is_relative_to(place.root.resolve())


def _status(path: Path) -> tuple[int, int, int] | None:
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_ino, found.st_size


def _first(entries: Iterator[os.DirEntry[str]]) -> list[os.DirEntry[str]]:
    return [entry for entry, _ in zip(entries, range(MOST), strict=False)]
