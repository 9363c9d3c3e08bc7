"""Earlier answers that later ones are compressed with, in a folder all workers of the node share.

A file is one answer's body behind a line of JSON that says what it is for. Its name is made of the body's SHA-256 and
the origin it is of, so that whoever finds it has both right; the body is checked again before it is used. Files are
written aside and renamed; one that is damaged is as good as none, and is removed.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from pathlib import Path
from typing import Final, NamedTuple

from edgeproxy.compression.offers import Offer
from edgeproxy.compression.patterns import Pattern, PatternError

_SUFFIX: Final = ".dictionary"
_NEW: Final = ".dictionary-new"
_LONGEST_HEAD: Final = 16 * 1024
_LOOK_AGAIN: Final = 60.0  # seconds for which a worker takes a file to be there as it was, and marked as used
_UNFINISHED: Final = 60.0  # seconds after which a file that was never renamed is one whose writer is gone


class Bounds(NamedTuple):
    """What the shelf holds at most: bytes, dictionaries, and of them such as are for the same ``match``. ``keep``: for
    how many seconds after they were put there."""

    size: int
    number: int
    versions: int
    keep: float


class Dictionary:
    """What is known of one, but for its bytes. ``readable``: scripts of any origin may read it."""

    __slots__ = ("checked", "destinations", "digest", "expires", "facet", "origin", "pattern", "readable")

    def __init__(self, digest: bytes, origin: bytes, target: str, offer: Offer, readable: bool, expires: float) -> None:
        """Raises PatternError."""
        self.digest = digest
        self.origin = origin
        self.pattern = Pattern(offer.match, origin.decode("latin-1"), target)
        self.destinations = frozenset([destination.encode() for destination in offer.destinations])
        self.readable = readable
        self.expires = expires
        self.checked = 0.0
        self.facet = b"dcz=" + digest.hex().encode()

    def __repr__(self) -> str:
        return f"<Dictionary {self.digest.hex()[:12]} {self.origin.decode()} {self.pattern.text}>"


class Shelf:
    """The node's dictionaries, as one worker sees them. Times are wall times in seconds."""

    def __init__(self, folder: Path, bounds: Bounds) -> None:
        self.folder = folder
        self._bounds = bounds
        self._known: dict[tuple[bytes, bytes], Dictionary] = {}

    def find(self, digest: bytes, origin: bytes, now: float) -> Dictionary | None:
        """The dictionary with this SHA-256 and of this origin, if it has not expired. A look-up for one that is known,
        else a file to open; once a minute that file is marked as used."""
        found = self._known.get((digest, origin))
        if found is None or now >= found.checked + _LOOK_AGAIN:
            found = self._look(digest, origin, now)
            if found is None:
                return None
            if len(self._known) >= self._bounds.number:
                self._known.clear()
            self._known[(digest, origin)] = found
        return found if now < found.expires else None

    def put(self, body: bytes, origin: bytes, target: str, offer: Offer, readable: bool, now: float) -> bool:
        """Keep a body, in place of what it was kept for before, and make room; False if it is there already. For a
        thread: it writes a file. Raises OSError."""
        digest = hashlib.sha256(body).digest()
        told = _Head(origin.decode("latin-1"), target, *offer, readable, now + self._bounds.keep)
        file = self._file(digest, origin)
        present = _head(file)
        if present is not None and present._replace(expires=told.expires) == told and _lasts(present, told, now):
            os.utime(file, (now, now))
            return False
        self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor, name = tempfile.mkstemp(_NEW, dir=self.folder)
        try:
            with os.fdopen(descriptor, "wb") as new:
                new.write(json.dumps(told).encode() + b"\n")
                new.write(body)
            os.utime(name, (now, now))
            Path(name).rename(file)
        except BaseException:
            Path(name).unlink(missing_ok=True)
            raise
        self._make_room(now)
        return True

    def read(self, dictionary: Dictionary) -> bytes | None:
        """Its bytes, None if they are gone or others than its name says. For a thread: it reads a file."""
        file = self._file(dictionary.digest, dictionary.origin)
        try:
            body = file.read_bytes().partition(b"\n")[2]
        except OSError:
            return None
        if hashlib.sha256(body).digest() == dictionary.digest:
            return body
        file.unlink(missing_ok=True)
        return None

    def _file(self, digest: bytes, origin: bytes) -> Path:
        return self.folder / f"{digest.hex()}-{hashlib.blake2b(origin, digest_size=8).hexdigest()}{_SUFFIX}"

    def _look(self, digest: bytes, origin: bytes, now: float) -> Dictionary | None:
        file = self._file(digest, origin)
        told = _head(file)
        if told is None or told.origin.encode("latin-1") != origin:
            return None
        try:
            os.utime(file, (now, now))
            offer = Offer(told.match, told.destinations)
            found = Dictionary(digest, origin, told.target, offer, told.readable, told.expires)
        except (OSError, PatternError):
            return None
        found.checked = now
        return found

    def _make_room(self, now: float) -> None:
        """Remove what is expired, damaged or beyond a bound: of those with one ``match``, then of all, the ones that
        were not used for longest."""
        bounds = self._bounds
        size = number = 0
        versions: dict[tuple[str, str], int] = {}
        for file, used, length in self._files():
            if file.suffix == _NEW:
                if used < now - _UNFINISHED:
                    file.unlink(missing_ok=True)
                continue
            told = _head(file)
            if told is not None and now < told.expires:
                group = (told.origin, told.match)
                like = versions.get(group, 0)
                if like < bounds.versions and number < bounds.number and size + length <= bounds.size:
                    versions[group] = like + 1
                    number += 1
                    size += length
                    continue
            file.unlink(missing_ok=True)

    def _files(self) -> list[tuple[Path, float, int]]:
        """The shelf's files with their times of last use and lengths, the last used first."""
        found = []
        with os.scandir(self.folder) as entries:
            for entry in entries:
                if not entry.name.endswith((_SUFFIX, _NEW)):
                    continue  # the folder may be an operator's
                try:
                    status = entry.stat(follow_symlinks=False)
                except OSError:
                    continue  # another worker has just removed it
                found.append((Path(entry.path), status.st_mtime, status.st_size))
        return sorted(found, key=lambda file: -file[1])

    def __repr__(self) -> str:
        return f"<Shelf {self.folder}, {len(self._known)} known>"


class _Head(NamedTuple):
    """The line a file begins with, as a JSON array."""

    origin: str
    target: str
    match: str
    destinations: tuple[str, ...]
    readable: bool
    expires: float


def _lasts(present: _Head, told: _Head, now: float) -> bool:
    """Whether what is there has half of its time left, so that writing it anew can wait."""
    return present.expires - now > (told.expires - now) / 2


def _head(file: Path) -> _Head | None:
    """None if there is no such file, or it is damaged."""
    try:
        with file.open("rb") as opened:
            told = json.loads(opened.readline(_LONGEST_HEAD))
        origin, target, match, destinations, readable, expires = told
        return _Head(
            str(origin), str(target), str(match), tuple(map(str, destinations)), bool(readable), float(expires)
        )
    except (OSError, ValueError, TypeError, RecursionError):
        return None
