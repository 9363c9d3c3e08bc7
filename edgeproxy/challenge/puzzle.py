"""Proof of work without memory: a puzzle is signed, so that nothing about it is kept until its answer comes.

A puzzle is ``1.ISSUED.BITS.SEED``: when it was made (seconds since 1970), how many leading bits of a digest must be
zero, and an HMAC-SHA256 over both and over who asked, in hex. An answer adds ``.N``, eight hex digits for which
SHA-256(SEED || N) begins with that many zero bits. The seed fills SHA-256's first block, so that a solver goes through
one block an attempt; checking costs one HMAC and one SHA-256, and nothing but the puzzle's age makes it unusable: what
comes of an answer must be the same each time it is shown.
"""

from __future__ import annotations

import hmac
import re
from hashlib import sha256
from typing import Final, NamedTuple

MOST_BITS: Final = 24
_PUZZLE: Final = re.compile(rb"1\.(\d{1,11})\.(\d{1,2})\.([0-9a-f]{64})(?:\.([0-9a-f]{8}))?")
_SKEW: Final = 30  # seconds the clocks of nodes that share a secret may be apart


class Proof(NamedTuple):
    """A puzzle of ours that came back to us: its bits, when it was made, and whether its answer is with it."""

    bits: int
    issued: int
    solved: bool


class Puzzles:
    """``within``: how many seconds a puzzle can be answered."""

    def __init__(self, secret: bytes, within: float) -> None:
        self._key = hmac.digest(secret, b"edgeproxy challenge: puzzle", "sha256")
        self._within = within

    def make(self, bits: int, who: bytes, now: float) -> bytes:
        """A puzzle for ``who``, which is whatever the answer must come from."""
        head = b"1.%d.%d" % (now, bits)
        return head + b"." + self._seed(head, who)

    def check(self, text: bytes, who: bytes, now: float) -> Proof | None:
        """What ``text`` proves; None if it is no puzzle of ours for ``who``, is too old, or has a wrong answer."""
        match = _PUZZLE.fullmatch(text)
        if match is None:
            return None
        issued, bits, seed, answer = int(match[1]), int(match[2]), match[3], match[4]
        if not hmac.compare_digest(seed, self._seed(b"1.%b.%b" % (match[1], match[2]), who)):
            return None
        if not -_SKEW <= now - issued <= self._within:
            return None
        if answer is not None and zero_bits(seed + answer) < bits:
            return None
        return Proof(bits, issued, answer is not None)

    def _seed(self, head: bytes, who: bytes) -> bytes:
        return hmac.digest(self._key, head + b"\0" + who, "sha256").hex().encode()


def zero_bits(data: bytes) -> int:
    """How many bits of the SHA-256 digest are zero before its first one."""
    return 256 - int.from_bytes(sha256(data).digest(), "big").bit_length()
