"""Nonces that were used (RFC 9421 §7.2.2), as many as there is room for."""

from __future__ import annotations

from hashlib import blake2b


class Nonces:
    """Remembers each nonce for ``age`` seconds at least, unless more than ``most / 2`` come in that time; then those of
    last are forgotten, so that memory has a bound.
    """

    def __init__(self, most: int, age: float) -> None:
        self._half = max(1, most // 2)
        self._age = age
        self._begun = 0.0
        self._new: set[bytes] = set()
        self._old: set[bytes] = set()

    def use(self, whose: str, nonce: str, now: float) -> bool:
        """Whether the nonce was unused up to ``now`` (seconds, of any clock). It is used from then on."""
        if now - self._begun >= self._age or len(self._new) >= self._half:
            self._old = self._new if now - self._begun < 2 * self._age else set()
            self._new = set()
            self._begun = now
        digest = blake2b(f"{whose}\0{nonce}".encode(), digest_size=16).digest()
        if digest in self._new or digest in self._old:
            return False
        self._new.add(digest)
        return True

    def __len__(self) -> int:
        return len(self._new) + len(self._old)

    def __repr__(self) -> str:
        return f"<Nonces {len(self._new)}+{len(self._old)} of {2 * self._half}>"
