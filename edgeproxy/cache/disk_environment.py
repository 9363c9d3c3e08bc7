"""Opening L2's environment, and what is done about one that is damaged.

    FOLDER/guard          locked while a process opens it; says in which run of the machine it was last written to
    FOLDER/users          locked, shared, by every process that has it open
    FOLDER/fault.PID      what a process died of that the machine stopped for a fault (SIGBUS, SIGSEGV …)
    FOLDER/l2/            the environment
    FOLDER/l2.damaged/    the last one that could not be used, for whoever wants to look at it

LMDB trusts its file: one that is cut short or scribbled over can stop the process that maps it. So its meta pages and
its length are looked at before each opening; and where the file is shorter than they say, the machine went down without
a sync, or a process died of a fault, LMDB's own verifier reads it first, in a process of its own. A killed process
alone is no reason: what it had committed is whole.
"""

from __future__ import annotations

import errno
import faulthandler
import fcntl
import logging
import os
import shutil
import struct
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

import lmdb

from edgeproxy.cache.disk_layout import FORMAT, PAGE, PAGE_HEAD
from edgeproxy.cache.disk_store import READERS, TABLES, Store

logger = logging.getLogger("edgeproxy.cache")

CLEAN = "clean"
VERIFY_WITHIN = 600.0  # seconds; 10 GB of small answers take about one minute
FAULT = "fault."
LOCK_FILE = READERS * 64 + PAGE  # bytes: a slot for each reader, and a head
RESERVE = 16  # the part of the file that is only used to make room in a full one

_MAGIC = 0xBEEFC0DE
_META = struct.Struct("<IIQQ48s48sQQ")  # magic, version, address, map size, two tables, last page, transaction

# What LMDB says of a file it cannot go on with, as against a disk that is full or an order that is wrong.
DAMAGES = (lmdb.CorruptedError, lmdb.InvalidError, lmdb.PageNotFoundError, lmdb.VersionMismatchError)

# What says that there is no more room, in the file or for it: making room in it may help. A write that a full disk cut
# short is an I/O error to LMDB.
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO))
_REFUSED = _FULL | {errno.EROFS, errno.EACCES, errno.EPERM}


class Opened:
    """An environment in use by this process, until :meth:`close` or :meth:`discard`. ``length`` is its file's
    in bytes, ``ceiling`` what its map may grow to where it is full."""

    def __init__(self, folder: Path, store: Store, users: int, size: int) -> None:
        self.store = store
        self._folder = folder
        self._users = users
        status = _data(folder).stat()
        self._file = status.st_dev, status.st_ino
        self.length = status.st_size
        self.ceiling = _ceiling(size, self.length)

    def adapt(self, size: int) -> None:
        """Have another limit, or see what another process with a larger one has written. What this process is reading
        is let go. Raises lmdb.Error or OSError."""
        self.length = _data(self._folder).stat().st_size
        self.ceiling = _ceiling(size, self.length)
        self.store.environment.set_mapsize(_map_size(size, self.length))

    def allot(self, ahead: int) -> int:
        """Have the disk give the file ``ahead`` bytes more than are in use, up to its map's size; returns the bytes it
        has then. In a file with such a margin, what is old can still make room for what is new when the disk is full:
        LMDB overwrites nothing, so even forgetting takes room. Raises OSError if there is none."""
        info = self.store.environment.info()
        wanted = min(info["map_size"], (info["last_pgno"] + 1) * PAGE + ahead)
        if wanted > self.length:
            with _data(self._folder).open("r+b") as file:
                os.posix_fallocate(file.fileno(), self.length, wanted - self.length)
            self.length = wanted
        return self.length

    def wrong(self) -> str | None:
        """What has been done to its file behind LMDB's back; None for nothing."""
        try:
            status = _data(self._folder).stat()
        except OSError as error:
            return error.strerror or "it is gone"
        if (status.st_dev, status.st_ino) != self._file:
            return "another one has taken its place"
        if status.st_size < self.length:
            return f"it was cut from {self.length} to {status.st_size} bytes"
        self.length = status.st_size
        return None

    def close(self) -> None:
        """Bring it to the disk and let it go; the last process to do so notes that all is there."""
        try:
            self.store.environment.sync(True)
            self.store.environment.close()
            with _guarded(self._folder, fcntl.LOCK_NB) as guard:
                fcntl.flock(self._users, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if self.wrong() is None:
                    _write(guard, CLEAN)
        except (lmdb.Error, OSError):
            pass  # others have it open or are about to, or nothing can be written
        finally:
            self.discard()

    def discard(self) -> None:
        """Let it go as it is."""
        self.store.environment.close()
        if self._users >= 0:
            os.close(self._users)
            self._users = -1


def open_environment(folder: Path, size: int) -> Opened:
    """Open the environment in ``folder``, at most ``size`` bytes large, or begin one; a damaged one is moved aside.

    Takes its time after a crash: not for an event loop. Raises OSError or lmdb.Error.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with _guarded(folder) as guard:
        inner = folder / "l2"
        wrong, short = missing(_data(folder))
        if wrong is None and (_suspect(folder, guard) or short):
            wrong = _verdict(inner)
        if wrong is not None:
            set_aside(folder, wrong)
        _write(guard, _boot())
        try:
            store = _store(inner, size)
        except DAMAGES as error:
            set_aside(folder, str(error))
            store = _store(inner, size)
        if store.format() != FORMAT:
            store.environment.close()
            shutil.rmtree(inner)
            store = _store(inner, size)
        store.environment.reader_check()
        users = os.open(folder / "users", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        fcntl.flock(users, fcntl.LOCK_SH)
        return Opened(folder, store, users, size)


def replace_damaged(folder: Path, opened: Opened, reason: str) -> None:
    """Move the environment aside that this process had open and found damaged, unless another process was faster."""
    opened.discard()
    with _guarded(folder):
        if opened.wrong() is None:
            set_aside(folder, reason)


def full(error: Exception) -> bool:
    """Whether there is no more room in the file, or for it."""
    return isinstance(error, lmdb.MapFullError | lmdb.TxnFullError) or getattr(error, "code", 0) in _FULL


def refused(error: Exception) -> bool:
    """Whether it is the disk that cannot be written to, while what is there can be read."""
    return full(error) or getattr(error, "code", 0) in _REFUSED


def set_aside(folder: Path, reason: str) -> None:
    """Move the environment to ``l2.damaged``, in place of the one there."""
    aside = folder / "l2.damaged"
    shutil.rmtree(aside, ignore_errors=True)
    (folder / "l2").rename(aside)
    logger.error("disk cache %s is damaged (%s): moved to %s and begun anew", folder, reason, aside)


def missing(data: Path) -> tuple[str | None, bool]:
    """What is wrong with a data file by its meta pages, None for nothing; and whether it is shorter than they say: it
    may have been cut off, or its last pages are free. A file that is not there, or is empty, is for LMDB to begin."""
    try:
        length = data.stat().st_size
        with data.open("rb") as file:
            head = file.read(2 * PAGE)
    except FileNotFoundError:
        return None, False
    if not length:
        return None, False
    if length < 2 * PAGE:
        return f"{length} bytes are no environment", True
    metas = [_META.unpack_from(head, page * PAGE + PAGE_HEAD) for page in (0, 1)]
    if any(meta[0] != _MAGIC for meta in metas):
        return "its meta pages are overwritten", False
    newest = max(metas, key=lambda meta: int(meta[7]))
    return None, length < (newest[6] + 1) * PAGE


def note_faults(folder: Path) -> None:
    """Have this process write down what it dies of, if the machine stops it for a fault, for who opens the environment
    next. Raises OSError."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    file = os.open(folder / f"{FAULT}{os.getpid()}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
    faulthandler.enable(file, all_threads=False)


def _store(inner: Path, size: int) -> Store:
    inner.mkdir(mode=0o700, exist_ok=True)
    _allot(inner / "lock.mdb")
    data = inner / "data.mdb"
    present = data.stat().st_size if data.exists() else 0
    environment = lmdb.open(
        str(inner),
        map_size=_map_size(size, present),
        max_dbs=TABLES,
        max_readers=READERS,
        max_spare_txns=1,
        mode=0o600,
        # No fsync for each commit: a killed process loses nothing by it, a killed machine is what the guard is for.
        # Never a writable map: on a full disk writing to it ends the process, where a write says that it failed.
        sync=False,
        metasync=False,
        writemap=False,
        readahead=False,
        meminit=False,
        lib_version=0,
    )
    try:
        return Store(environment)
    except BaseException:
        environment.close()
        raise


def _map_size(size: int, length: int) -> int:
    return -(-max(size - size // RESERVE, length) // PAGE) * PAGE


def _ceiling(size: int, length: int) -> int:
    return max(size, length + size // RESERVE) // PAGE * PAGE


def _allot(lock: Path) -> None:
    """Have all of the lock file on the disk: LMDB maps it, and where a full disk has no room for a page of it, writing
    there ends the process. Only while this process has the environment not open: closing a file ends its locks."""
    with lock.open("ab") as file:
        lock.chmod(0o600)
        os.posix_fallocate(file.fileno(), 0, LOCK_FILE)


@contextmanager
def _guarded(folder: Path, flags: int = 0) -> Iterator[TextIO]:
    """One process at a time, as long as it is alive."""
    with (folder / "guard").open("a+", encoding="utf-8") as guard:
        (folder / "guard").chmod(0o600)
        fcntl.flock(guard, fcntl.LOCK_EX | flags)
        yield guard


def _write(guard: TextIO, text: str) -> None:
    guard.seek(0)
    guard.truncate()
    guard.write(text)
    guard.flush()


def _suspect(folder: Path, guard: TextIO) -> bool:
    """Whether something may have happened to the environment that LMDB is not made for."""
    guard.seek(0)
    last = guard.read()
    crashed = last not in {"", CLEAN, _boot()}
    for file in folder.glob(FAULT + "*"):
        if not Path("/proc", file.name.removeprefix(FAULT)).exists():
            crashed = crashed or file.stat().st_size > 0
            file.unlink(missing_ok=True)
    return crashed


def _verdict(inner: Path) -> str | None:
    """What LMDB's verifier finds wrong; None for nothing."""
    if not (inner / "data.mdb").exists():
        return None
    import subprocess

    command = [sys.executable, "-P", "-m", "lmdb", "verify", str(inner)]
    try:
        done = subprocess.run(  # noqa: S603 -- our own interpreter
            command, capture_output=True, text=True, check=False, timeout=VERIFY_WITHIN
        )
    except subprocess.TimeoutExpired:
        return "it could not be verified in time"
    return None if done.returncode == 0 else (done.stdout + done.stderr).strip().splitlines()[-1][:200]


def _boot() -> str:
    """What tells one run of the machine from the next."""
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


def _data(folder: Path) -> Path:
    return folder / "l2" / "data.mdb"
