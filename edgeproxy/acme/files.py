"""The files of accounts, certificates, challenges and states, by their paths in the folder of certificates. Each has a
stamp, so that nodes which share them can tell whose is newer."""

from __future__ import annotations

import fcntl
import hashlib
import os
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final, NamedTuple

from edgeproxy.certificates.store import CertificateStore

LARGEST = 100_000  # bytes of a file
CHALLENGES = "challenges/"
FOLDERS: Final = ("accounts", "certificates", "states", "challenges/http", "challenges/tls-alpn")
ORDERS, AUTHORITY = "orders.json", "authority.json"

# A name as CertificateStore writes it: 253 characters at most, before its ending.
_STEM = r"(?=[^/]{1,253}\.(?:pem|json)\Z)(?:_\.)?+(?!-)[a-z0-9_-]{1,63}(?:\.[a-z0-9_-]{1,63})*"
_PATH: Final = re.compile(
    rf"orders\.json|authority\.json|accounts/[0-9a-f]{{16}}\.(?:pem|json)"
    rf"|certificates/{_STEM}\.pem|states/{_STEM}\.json"
    rf"|challenges/http/[A-Za-z0-9_-]{{22,256}}|challenges/tls-alpn/{_STEM}\.pem"
)
_LONGEST_PATH = 300


class Stamp(NamedTuple):
    """When a file was written, in nanoseconds since 1970, and the digest of its content; "" for one that was
    removed."""

    at: int
    digest: str


class Work(NamedTuple):
    """What makes two sets of files the same: paths to be fetched, given, and removed here."""

    fetch: list[str]
    give: list[str]
    drop: list[str]


def is_path(path: str) -> bool:
    """Whether there may be a file of this path: names alone, no way out of the folder."""
    return len(path) <= _LONGEST_PATH and _PATH.fullmatch(path) is not None


def compare(here: Mapping[str, Stamp], there: Mapping[str, Stamp]) -> Work:
    """Newer wins. A challenge that is not there is over."""
    work = Work([], [], [])
    for path, stamp in there.items():
        own = here.get(path)
        if own is None:
            if stamp.digest:
                work.fetch.append(path)
        elif own.digest != stamp.digest:
            (work.give if own.at > stamp.at else work.fetch if stamp.digest else work.drop).append(path)
    for path in here.keys() - there.keys():
        (work.drop if path.startswith(CHALLENGES) else work.give).append(path)
    return Work(*map(sorted, work))


class Files:
    """A node's own. Raises OSError."""

    def __init__(self, folder: Path) -> None:
        self.store = CertificateStore(folder)
        self.folder = folder

    def prepare(self) -> None:
        """Make the folders that are not there, for this user alone."""
        self.store.prepare()
        for name in FOLDERS:
            (self.folder / name).mkdir(mode=0o700, parents=True, exist_ok=True)

    def read(self, path: str) -> bytes | None:
        """A file's content, None where there is none that could be ours."""
        try:
            with (self.folder / path).open("rb") as file:
                content = file.read(LARGEST + 1)
        except FileNotFoundError:
            return None
        return content if len(content) <= LARGEST else None

    def write(self, path: str, content: bytes) -> None:
        """All or nothing."""
        self.store.put(self.folder / path, content)

    def copy(self, path: str, content: bytes, at: int) -> None:
        """Write what another node wrote at that time."""
        self.write(path, content)
        os.utime(self.folder / path, ns=(at, at))

    def drop(self, path: str) -> None:
        self.store.drop(self.folder / path)

    def stamps(self) -> dict[str, Stamp]:
        """Of all files that may be shared."""
        found: dict[str, Stamp] = {}
        for path in self.paths():
            try:
                at = (self.folder / path).stat().st_mtime_ns
            except FileNotFoundError:
                continue
            content = self.read(path)
            if content is not None:
                found[path] = Stamp(at, digest_of(content))
        return found

    def paths(self, folder: str = "") -> list[str]:
        """Of all files there are, or those in one of the folders."""
        names = [folder] if folder else ["", *FOLDERS]
        found = []
        for name in names:
            base = self.folder / name
            found += [f"{name}/{one.name}".lstrip("/") for one in base.iterdir()] if base.is_dir() else []
        return sorted(filter(is_path, found))

    def name_of(self, path: str) -> str:
        """The name that a certificate's or a state's file is about."""
        stem = path.rpartition("/")[2].rpartition(".")[0]
        return f"*.{stem[2:]}" if stem.startswith("_.") else stem

    def wanted(self) -> list[str]:
        """The names asked for, those that wait longest first."""
        return [name for name in self.store.wanted() if is_path(f"certificates/{name}.pem")]

    @contextmanager
    def alone(self) -> Iterator[bool]:
        """Whether no other process of this node renews now; for as long as the block lasts, none does."""
        lock = os.open(self.folder / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            yield False
        else:
            yield True
        finally:
            os.close(lock)

    def __repr__(self) -> str:
        return f"<Files {self.folder}>"


def digest_of(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()
