"""Certificates for tests: an authority and what it signs, written as PEM files."""

from __future__ import annotations

import datetime as dt
import ipaddress
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import CertificateIssuerPrivateKeyTypes, CertificatePublicKeyTypes
from cryptography.x509.oid import NameOID

_DAY = dt.timedelta(days=1)


class Pair(NamedTuple):
    """A certificate and its key, as files."""

    certificate: Path
    key: Path


class Authority:
    """A certificate authority with its files in ``folder``; :attr:`file` is what clients are told to trust."""

    def __init__(self, folder: Path, name: str = "authority") -> None:
        self.folder = folder
        self.file = folder / f"{name}.pem"
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        basic = x509.BasicConstraints(ca=True, path_length=0)
        certificate = self._builder(self._name, self._key.public_key()).add_extension(basic, critical=True)
        self.file.write_bytes(certificate.sign(self._key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        *names: str,
        file: str | None = None,
        subject: str | None = None,
        key: CertificateIssuerPrivateKeyTypes | None = None,
        days: tuple[float, float] = (-1, 30),
        extensions: Sequence[x509.ExtensionType] = (),
    ) -> Pair:
        """A certificate for DNS names, addresses, URIs or mailboxes, the first also its common name, unless there is a
        ``subject`` as RFC 4514 writes it. ``key``: not a new one for ECDSA; ``days``: valid from and to, from now."""
        key = key or ec.generate_private_key(ec.SECP256R1())
        common = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, names[0])]) if subject is None else None
        builder = self._builder(common or x509.Name.from_rfc4514_string(subject or ""), key.public_key(), days)
        if names:
            alternatives = x509.SubjectAlternativeName([_general(name) for name in names])
            builder = builder.add_extension(alternatives, critical=False)
        for extension in extensions:
            builder = builder.add_extension(extension, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        stem = file or names[0].translate(str.maketrans("*/:", "___"))
        pair = Pair(self.folder / f"{stem}.pem", self.folder / f"{stem}.key")
        pair.certificate.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        pair.key.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return pair

    def sign_with(self) -> tuple[x509.Certificate, CertificateIssuerPrivateKeyTypes]:
        """Its own certificate and key, for what else it signs."""
        return x509.load_pem_x509_certificate(self.file.read_bytes()), self._key

    def _builder(
        self, subject: x509.Name, key: CertificatePublicKeyTypes, days: tuple[float, float] = (-1, 30)
    ) -> x509.CertificateBuilder:
        now = dt.datetime.now(dt.UTC)
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now + days[0] * _DAY)
            .not_valid_after(now + days[1] * _DAY)
        )


def _general(name: str) -> x509.GeneralName:
    if "://" in name:
        return x509.UniformResourceIdentifier(name)
    if "@" in name:
        return x509.RFC822Name(name)
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)
