"""The folder all workers of a node share while it runs, in memory where the system has a place for that."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import tempfile
from pathlib import Path

MEMORY = Path("/dev/shm")  # noqa: S108 -- the folder made there is this user's alone
PREFIX = "edgeproxy-node-"
SECRET = "secret"  # noqa: S105 -- a file's name
SECRET_BYTES = 32


class Folder:
    """Made with a secret of the node in it, and removed by :meth:`close`; what nodes that were killed have left is
    removed when the next one starts. Raises OSError if there is no place for it."""

    def __init__(self, base: Path | None = None) -> None:
        base = base or (MEMORY if os.access(MEMORY, os.W_OK) else Path(tempfile.gettempdir()))
        _sweep(base)
        self.path = Path(tempfile.mkdtemp(prefix=PREFIX, dir=base))
        self._held = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY)
        fcntl.flock(self._held, fcntl.LOCK_EX)  # the kernel lets go of it when this process ends, however it ends
        descriptor = os.open(self.path / SECRET, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as file:
            file.write(secrets.token_bytes(SECRET_BYTES))

    def close(self) -> None:
        shutil.rmtree(self.path, ignore_errors=True)
        os.close(self._held)

    def __repr__(self) -> str:
        return f"<Folder {self.path}>"


def _sweep(base: Path) -> None:
    for path in base.glob(f"{PREFIX}*"):
        try:
            descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
        except OSError:
            continue  # somebody else's
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)
        except OSError:
            pass  # its node runs
        finally:
            os.close(descriptor)
