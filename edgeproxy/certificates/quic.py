"""Which certificate a QUIC handshake is shown: the listener's, as qh3 has them."""

from __future__ import annotations

import logging
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

from edgeproxy.quic.connection import Certificate

if TYPE_CHECKING:
    from edgeproxy.certificates.choice import Certificates, Served

logger = logging.getLogger("edgeproxy.tls")

KEPT: Final = 1024
_BLOCK: Final = re.compile(rb"-----BEGIN ([A-Z ]+)-----.+?-----END \1-----\r?\n?", re.DOTALL)


class QuicCertificates:
    """``certificates`` are what TCP clients of the same listener are shown; their files are read when first asked for,
    and again when they have changed."""

    def __init__(self, certificates: Certificates) -> None:
        self._certificates = certificates
        self._known: dict[Served, Certificate | None] = {}

    def find(self, name: str) -> Certificate | None:
        """The certificate for a name that was asked for, "" for none; None if there is none that can be shown."""
        served = self._certificates.served(name)
        if served is None:
            return None
        if served not in self._known:
            if len(self._known) >= KEPT:
                self._known.clear()
            self._known[served] = _read(served)
        return self._known[served]

    def __repr__(self) -> str:
        return f"<QuicCertificates {len(self._known)} read>"


def _read(served: Served) -> Certificate | None:
    chain, key = served.pair
    try:
        return Certificate(_blocks(chain, b"CERTIFICATE"), _blocks(key, b"PRIVATE KEY"))
    except (OSError, ValueError) as error:
        logger.error("tls: a certificate cannot be shown over HTTP/3: %s (%s)", error, chain)
        return None


def _blocks(path: str, kind: bytes) -> bytes:
    """The parts of a PEM file whose name ends so. Raises OSError, ValueError."""
    found = [match[0] for match in _BLOCK.finditer(Path(path).read_bytes()) if match[1].endswith(kind)]
    if not found:
        raise ValueError(f"no {kind.decode().lower()} in {path}")
    return b"".join(block if block.endswith(b"\n") else block + b"\n" for block in found)
