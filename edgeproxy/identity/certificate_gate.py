"""What every request on a route with client certificates passes; each certificate is judged once."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from edgeproxy.http.headers import disown
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo

CLIENT_CERT: Final = b"client-cert"
OWNED: Final[frozenset[bytes]] = frozenset((CLIENT_CERT, b"client-cert-chain"))  # RFC 9440 §2
_REMEMBERED: Final = 1024
_LONGEST: Final = 16_384  # bytes of DER


class Shown:
    """What comes of a certificate that was shown: whether it is one of those let in, who it is, and its field."""

    __slots__ = ("field", "fits", "identity")

    def __init__(self, fits: bool, identity: str, field: bytes) -> None:
        self.fits = fits
        self.identity = identity
        self.field = field

    def __repr__(self) -> str:
        return f"<Shown {self.identity!r}, {'fits' if self.fits else 'does not fit'}>"


class CertificateGate:
    """``judge`` says what comes of a certificate (DER); ``refuse`` answers who has none, and is told so, or the wrong
    one. ``optional``: who has none passes, as nobody. ``forward``: the origin is told the certificate."""

    def __init__(
        self, judge: Callable[[bytes], Shown], refuse: Callable[[bool], Response], optional: bool, forward: bool
    ) -> None:
        self._shown: Memo[bytes, Shown] = Memo(judge, _REMEMBERED, longest=_LONGEST)
        self._refuse = refuse
        self._optional = optional
        self._forward = forward

    def check(self, x: Exchange) -> Response | None:
        """The request hook. What clients send as Client-Cert is removed, whatever comes of it."""
        disown(x.request.headers, OWNED)
        tls = x.peer.tls
        der = None if tls is None else tls.client_certificate
        if der is None:
            return None if self._optional else self._refuse(False)
        shown = self._shown[der]
        if not shown.fits:
            return self._refuse(True)
        x.identity = shown.identity
        if self._forward:
            x.request.headers[CLIENT_CERT] = shown.field
        return None
