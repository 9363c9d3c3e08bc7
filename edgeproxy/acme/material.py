"""Keys, requests for certificates and certificates, as PEM. Made and read with ``cryptography``; nothing is kept
here."""

from __future__ import annotations

import datetime as dt
import hashlib
from collections.abc import Sequence
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

from edgeproxy.acme.failure import AcmeError
from edgeproxy.acme.files import LARGEST

_ACME_IDENTIFIER = x509.ObjectIdentifier("1.3.6.1.5.5.7.1.31")  # RFC 8737 §3
_CHALLENGE_LIFE = dt.timedelta(days=1)
_SKEW = dt.timedelta(hours=1)  # what an authority's clock may be behind ours
MOST_LINKS = 10  # certificates of a chain

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Lifetime(NamedTuple):
    """When a certificate is valid, in seconds since 1970, and the names it is for, in lower case."""

    begins: float
    ends: float
    names: frozenset[str]


def new_key(kind: str) -> PrivateKey:
    """A key of one of the kinds that ``acme.key`` names."""
    if kind == "rsa-2048":
        return rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return ec.generate_private_key(ec.SECP384R1() if kind == "ecdsa-p384" else ec.SECP256R1())


def dump_key(key: PrivateKey) -> bytes:
    """PKCS#8, PEM, not encrypted."""
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def load_account_key(data: bytes) -> ec.EllipticCurvePrivateKey:
    """Raises ValueError for what is no key of an account."""
    key = serialization.load_pem_private_key(data, password=None)
    if not isinstance(key, ec.EllipticCurvePrivateKey):
        raise ValueError("an account's key is ECDSA")
    return key


def request_for(names: Sequence[str], key: PrivateKey) -> bytes:
    """A certificate signing request, PEM."""
    alternatives = x509.SubjectAlternativeName([x509.DNSName(name) for name in names])
    builder = x509.CertificateSigningRequestBuilder().subject_name(x509.Name([])).add_extension(alternatives, False)
    return builder.sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM)


def bundle(key: PrivateKey, chain: str, names: Sequence[str]) -> bytes:
    """The key and the chain that an authority gave for it, leaf first, as one PEM. Raises AcmeError if it is not for
    this key and these names."""
    try:
        certificates = x509.load_pem_x509_certificates(chain.encode())
    except ValueError:
        raise AcmeError("the authority gave no certificate that can be read") from None
    if len(certificates) > MOST_LINKS:
        raise AcmeError(f"the authority gave a chain of {len(certificates)} certificates")
    leaf = certificates[0]
    if _public(leaf.public_key()) != _public(key.public_key()):
        raise AcmeError("the authority gave a certificate for another key")
    if missing := set(names) - _names(leaf):
        raise AcmeError(f"the authority gave a certificate that is not for {min(missing)}")
    both = dump_key(key) + b"".join(one.public_bytes(serialization.Encoding.PEM) for one in certificates)
    if len(both) > LARGEST:
        raise AcmeError(f"the authority gave a chain of more than {LARGEST // 1000} KB")
    return both


def leaf_of(pem: bytes) -> x509.Certificate:
    """The first certificate. Raises ValueError where there is none."""
    return x509.load_pem_x509_certificate(pem)


def lifetime(pem: bytes) -> Lifetime:
    """Of the first certificate. Raises ValueError where there is none."""
    leaf = leaf_of(pem)
    return Lifetime(leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp(), _names(leaf))


def alpn_certificate(name: str, key_authorization: str) -> bytes:
    """Key and certificate that answer a TLS-ALPN-01 challenge (RFC 8737 §3), as one PEM."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "acme-tls-alpn-01")])
    digest = hashlib.sha256(key_authorization.encode()).digest()
    octets = b"\x04\x20" + digest  # OCTET STRING, 32 bytes
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _SKEW)
        .not_valid_after(now + _CHALLENGE_LIFE)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.UnrecognizedExtension(_ACME_IDENTIFIER, octets), critical=True)
        .sign(key, hashes.SHA256())
    )
    return dump_key(key) + certificate.public_bytes(serialization.Encoding.PEM)


def _names(certificate: x509.Certificate) -> frozenset[str]:
    try:
        found = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return frozenset()
    return frozenset(name.lower() for name in found.get_values_for_type(x509.DNSName))


def _public(key: object) -> bytes:
    data: bytes = key.public_bytes(  # type: ignore[attr-defined]  # every kind of key has it
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return data
