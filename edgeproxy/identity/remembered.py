"""What was found out about credentials, for a while, in bounded memory."""

from __future__ import annotations

import secrets
from hashlib import blake2b
from typing import Generic, TypeVar

V = TypeVar("V")


class Remembered(Generic[V]):
    """Values by digest, each until its time, at most ``size``.

    Credentials themselves are not kept: :meth:`digest` is keyed (RFC 7693 §2.5) with a secret of this process, so that
    neither memory read by somebody nor a chosen credential leads to a known digest. Two generations of ``size / 2``: a
    full one replaces the older.
    """

    def __init__(self, size: int) -> None:
        self._secret = secrets.token_bytes(32)
        self._half = max(1, size // 2)
        self._new: dict[bytes, tuple[V, float]] = {}
        self._old: dict[bytes, tuple[V, float]] = {}

    def digest(self, credential: bytes) -> bytes:
        return blake2b(credential, key=self._secret, digest_size=16).digest()

    def get(self, digest: bytes, now: float) -> V | None:
        """The value, unless its time has passed at ``now``."""
        found = self._new.get(digest)
        if found is None:
            found = self._old.get(digest)
            if found is None:
                return None
            self._keep(digest, found)
        return found[0] if now < found[1] else None

    def put(self, digest: bytes, value: V, until: float) -> None:
        self._keep(digest, (value, until))

    def forget(self) -> None:
        """Drop everything: what it was found out from has changed."""
        self._new = {}
        self._old = {}

    def _keep(self, digest: bytes, found: tuple[V, float]) -> None:
        if len(self._new) >= self._half and digest not in self._new:
            self._old = self._new
            self._new = {}
        self._new[digest] = found

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def __repr__(self) -> str:
        return f"<Remembered {len(self._new)}+{len(self._old)} of {2 * self._half}>"
