"""A certificate made up in memory: nobody trusts it, but the listener starts, and an authority can reach it."""

from __future__ import annotations

import datetime as dt
from collections.abc import Sequence
from typing import Final

NAMES_MOST: Final = 100
LIFETIME: Final = dt.timedelta(days=365)
_SKEW: Final = dt.timedelta(days=1)


def self_signed(names: Sequence[str], now: float) -> bytes:
    """A new key and its certificate for the first of ``names``, PEM."""
    from cryptography import x509  # late: 8 MB, for nothing where there is no TLS
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.x509.oid import NameOID

    key = ec.generate_private_key(ec.SECP256R1())
    own = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "edgeproxy, no certificate yet")])
    today = dt.datetime.fromtimestamp(now, dt.UTC)
    builder = (
        x509.CertificateBuilder()
        .subject_name(own)
        .issuer_name(own)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - _SKEW)
        .not_valid_after(today + LIFETIME)
    )
    if names:
        listed = x509.SubjectAlternativeName([x509.DNSName(name) for name in names[:NAMES_MOST]])
        builder = builder.add_extension(listed, critical=False)
    private = key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    return private + builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)
