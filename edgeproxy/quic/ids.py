"""Connection ids that tell our workers whose a connection is, and nobody else anything (RFC 9000 §5.1)."""

from __future__ import annotations

import os
from hashlib import blake2s
from typing import Final

LENGTH: Final = 8
WORKERS_MOST: Final = 256
_RANDOM: Final = 5
_PURPOSE: Final = b"quic id"


class Ids:
    """The ids of one worker. ``secret`` is the node's; ``worker`` its number, below :data:`WORKERS_MOST`."""

    def __init__(self, secret: bytes, worker: int) -> None:
        self._key = blake2s(secret, person=_PURPOSE).digest()
        self._worker = worker

    def make(self) -> bytes:
        """An id: random bytes, then the worker's number and two zeros, masked by a hash of those."""
        drawn = os.urandom(_RANDOM)
        mask = self._mask(drawn)
        return drawn + bytes((mask[0] ^ self._worker,)) + mask[1:]

    def worker(self, cid: bytes) -> int | None:
        """The number of the worker that made an id, None for one that was drawn otherwise, but for one in 65536."""
        if len(cid) != LENGTH:
            return None
        mask = self._mask(cid[:_RANDOM])
        return cid[_RANDOM] ^ mask[0] if cid[_RANDOM + 1 :] == mask[1:] else None

    def _mask(self, drawn: bytes) -> bytes:
        return blake2s(drawn, key=self._key, digest_size=LENGTH - _RANDOM).digest()

    def __repr__(self) -> str:
        return f"<Ids of worker {self._worker}>"
