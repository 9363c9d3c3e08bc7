"""What all workers of a node count, on one mapped file: a line for each writer, read by all.

A line is its writer's alone while that holds the lock on it, which the kernel takes back however a process ends; so
nothing is written twice and nothing waits. Counts only grow, also over the change of a line's writer: whoever wants to
know what came in an interval compares two sums. One more lock elects the writer that judges, and what it finds stands
in a second file, replaced whole.

Without a folder the board is this process's own, and its writer judges.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import mmap
import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from edgeproxy.floods.judge import NODE, Counts

LINES: Final = 1024  # writers at once: workers, leaving ones too, times the differently configured uses of the stage
CELLS: Final = 512  # scopes
NAME: Final = 80  # bytes of a scope's name
_COUNTS: Final = struct.Struct("=4Q")
_CELL: Final = NAME + _COUNTS.size
_LINE: Final = CELLS * _CELL
_SIZE: Final = LINES * _LINE  # 58 MB of a sparse file, of which 57 KB a line in use take memory
_JUDGE: Final = _SIZE  # the place of the judge's lock, behind the lines


class Board:
    """One writer's view. ``key`` names the board within the folder: writers with the same key share it."""

    def __init__(self, folder: Path | None = None, key: str = "") -> None:
        self._own: dict[str, int] = {}  # scope: its cell's position in the own line
        self._known: list[list[str]] = []  # the scopes of each line that was read, in the order of its cells
        self._verdict: Path | None = None
        self._told = 0  # when the verdict that was read last had been written
        self._judges = folder is None
        self._descriptor = -1
        self._line = 0
        if folder is None:
            self._map = mmap.mmap(-1, _LINE)
            self._lines = 1
            self.add(NODE, Counts())
            return
        self._lines = LINES
        self._verdict = folder / f"floods-{key}.json"
        self._descriptor = os.open(folder / f"floods-{key}", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            self._line = self._claim()
            if os.fstat(self._descriptor).st_size < _SIZE:
                os.ftruncate(self._descriptor, _SIZE)
            # Memory that is not there is an error here, and not a signal at the first write.
            os.posix_fallocate(self._descriptor, self._line * _LINE, _LINE)
            self._map = mmap.mmap(self._descriptor, _SIZE)
        except OSError:
            os.close(self._descriptor)
            raise
        self._own = {name: self._at(self._line, cell) for cell, name in enumerate(self._names(self._line, []))}
        self.add(NODE, Counts())

    def add(self, scope: str, counts: Counts) -> None:
        """Add to a scope's counts in the own line. A scope beyond the last cell is not counted."""
        at = self._own.get(scope)
        if at is None:
            name = scope.encode()
            if len(self._own) >= CELLS or len(name) > NAME:
                return
            at = self._at(self._line, len(self._own))
            self._map[at : at + NAME] = name.ljust(NAME, b"\0")
            self._own[scope] = at
        before = _COUNTS.unpack_from(self._map, at + NAME)
        _COUNTS.pack_into(self._map, at + NAME, *[have + more for have, more in zip(before, counts, strict=True)])

    def sums(self) -> dict[str, Counts]:
        """What all writers have counted ever since, by scope."""
        totals: dict[str, list[int]] = {}
        for line in range(self._lines):
            if line == len(self._known):
                if not self._map[line * _LINE]:
                    break  # lines are taken from the first on, and have a cell at once
                self._known.append([])
            names = self._known[line] = self._names(line, self._known[line])
            for cell, name in enumerate(names):
                counts = _COUNTS.unpack_from(self._map, self._at(line, cell) + NAME)
                total = totals.setdefault(name, [0] * len(counts))
                for index, count in enumerate(counts):
                    total[index] += count
        return {name: Counts(*total) for name, total in totals.items()}

    # The judge.

    def judges(self) -> bool:
        """Whether this writer is the one that judges; it takes the place if that is free."""
        if not self._judges:
            self._judges = self._lock(_JUDGE)
        return self._judges

    def publish(self, verdict: Mapping[str, Any]) -> None:
        """Show the others what was judged. Raises OSError if there is no place for it."""
        if self._verdict is None:
            return
        fresh = self._verdict.with_suffix(".new")
        fresh.write_text(json.dumps(verdict))
        fresh.replace(self._verdict)

    def verdict(self) -> dict[str, Any] | None:
        """What the judge has shown since this was asked last; None if that is nothing."""
        if self._verdict is None:
            return None
        try:
            written = self._verdict.stat().st_mtime_ns
            if written == self._told:
                return None
            told = json.loads(self._verdict.read_text())
        except (OSError, ValueError):
            return None
        self._told = written
        return told if isinstance(told, dict) else None

    def close(self) -> None:
        """Give the line, and the judge's place, to whoever wants it."""
        if self._descriptor >= 0:
            self._map.close()
            with contextlib.suppress(OSError):
                os.close(self._descriptor)
            self._descriptor = -1

    # Lines and cells.

    def _claim(self) -> int:
        for line in range(LINES):
            if self._lock(line * _LINE):
                return line
        raise OSError("every line of the board of floods is taken")

    def _lock(self, at: int) -> bool:
        """Lock one byte for this open file description, fcntl(2): other ones of this process are others too."""
        request = struct.pack("hhqqi4x", fcntl.F_WRLCK, os.SEEK_SET, at, 1, 0)
        try:
            fcntl.fcntl(self._descriptor, fcntl.F_OFD_SETLK, request)
        except BlockingIOError:
            return False
        return True

    def _at(self, line: int, cell: int) -> int:
        return line * _LINE + cell * _CELL

    def _names(self, line: int, known: list[str]) -> list[str]:
        """The scopes a line has, ``known`` being its first ones; a name once written stays."""
        names = known
        while len(names) < CELLS:
            at = self._at(line, len(names))
            name = self._map[at : at + NAME].rstrip(b"\0")
            if not name:
                break
            names.append(name.decode(errors="replace"))
        return names

    def __repr__(self) -> str:
        return f"<Board line {self._line}, {len(self._own)} scopes{', judging' if self._judges else ''}>"
