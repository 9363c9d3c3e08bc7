"""TLS-ALPN-01 (RFC 8737): an authority that asks for a name by ``acme-tls/1`` alone is shown the proof in the store.

Python's callback for names does not see what protocols are offered, so while there is a proof, hellos are looked at
before their handshake begins. At other times that costs a connection one question about a folder.
"""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

from edgeproxy.certificates.store import SETTLED, CertificateStore
from edgeproxy.tls.client_hello import Offer

logger = logging.getLogger("edgeproxy.tls")

PROTOCOL: Final = "acme-tls/1"
_ALONE: Final = (PROTOCOL.encode(),)


class Proofs:
    """The proofs in a store; ``load`` makes a context of a file that speaks this protocol alone."""

    def __init__(
        self, store: CertificateStore, load: Callable[[Path], ssl.SSLContext], wall: Callable[[], float]
    ) -> None:
        self._store = store
        self._load = load
        self._wall = wall
        self._moved = 0
        self._pending = False

    def pending(self) -> bool:
        """Whether there is any."""
        try:
            moved = self._store.challenges.stat().st_mtime_ns
        except OSError:
            return False
        if moved != self._moved or self._pending or self._wall() - moved / 1e9 < SETTLED:
            self._pending = any(self._store.challenges.glob("*.pem"))
            self._moved = moved
        return self._pending

    def answer(self, offer: Offer | None) -> ssl.SSLContext | None:
        """The context for such a hello, None if it asks for no proof, or for one that is not there."""
        if offer is None or offer.protocols != _ALONE:
            return None
        try:
            path = self._store.challenge(offer.name)
            return self._load(path) if path.is_file() else None
        except (OSError, ValueError) as error:
            logger.error("tls: the proof for an authority cannot be used: %s", error)
            return None

    def __repr__(self) -> str:
        return f"<Proofs{' pending' if self._pending else ''}>"
