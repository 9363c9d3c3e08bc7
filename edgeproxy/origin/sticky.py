"""Which endpoint a client is to come back to, in a word that tells so to nobody else.

The address is encrypted and authenticated with AES-SIV (RFC 5297): the same endpoint has the same word on every node
that has the secret, no word can be made up, and none says where an origin is.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESSIV

from edgeproxy.pipeline.memo import Memo

LONGEST: Final = 256  # bytes of a word that are looked at
_KNOWN: Final = 8_192
_VERSION: Final = b"1."


class Words:
    """Made and read with a key of their own, out of ``secret``. What was read is remembered, good or bad."""

    def __init__(self, secret: bytes) -> None:
        self._cipher = AESSIV(hmac.digest(secret, b"edgeproxy sticky: endpoint", "sha512"))
        self._made: Memo[bytes, bytes] = Memo(self._make, _KNOWN)
        self._read: Memo[bytes, bytes] = Memo(self._open, _KNOWN)

    def of(self, endpoint: bytes) -> bytes:
        """The word for the endpoint of that address: characters that may stand in a cookie."""
        return self._made[endpoint]

    def read(self, word: bytes) -> bytes:
        """The address that a word is for; b"" if it is none of ours."""
        return self._read[word] if len(word) <= LONGEST else b""

    def _make(self, endpoint: bytes) -> bytes:
        return _VERSION + urlsafe_b64encode(self._cipher.encrypt(endpoint, None)).rstrip(b"=")

    def _open(self, word: bytes) -> bytes:
        if not word.startswith(_VERSION):
            return b""
        sealed = word[len(_VERSION) :]
        try:
            return self._cipher.decrypt(urlsafe_b64decode(sealed + b"=" * (-len(sealed) % 4)), None)
        except (ValueError, InvalidTag):
            return b""
