"""TLS towards clients: certificates by SNI, client certificates, certificates re-read in place."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from weakref import WeakKeyDictionary

from cryptography import x509
from cryptography.x509.oid import NameOID

from edgeproxy.config.schema import CertificateConfig, TlsConfig
from edgeproxy.pipeline.exchange import TLSInfo

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}
_CLIENT = {"off": ssl.CERT_NONE, "request": ssl.CERT_OPTIONAL, "require": ssl.CERT_REQUIRED}

# Mozilla's "intermediate" profile for TLS 1.2, forward secret and authenticated; TLS 1.3 has none but such.
_CIPHERS = "ECDHE+AESGCM:ECDHE+CHACHA20"


class Certificates:
    """One listener's certificates. :attr:`context` goes to the socket; a handshake is handed the right certificate's.

    :meth:`reload` reads the files again: handshakes from then on see the new ones, connections that stand are not
    touched. A file that cannot be read leaves all as it was and raises OSError, ssl.SSLError or ValueError.
    """

    def __init__(self, config: TlsConfig) -> None:
        self._config = config
        self._contexts: Mapping[str, ssl.SSLContext] = {}
        self._first: ssl.SSLContext
        self.reload()
        self.context = _new_context(config, config.certificates[0])
        self.context.sni_callback = self._choose

    def reload(self) -> None:
        contexts: dict[str, ssl.SSLContext] = {}
        first: ssl.SSLContext | None = None
        for certificate in self._config.certificates:
            context = _new_context(self._config, certificate)
            first = first or context
            for name in _names(certificate.certificate):
                contexts.setdefault(name, context)
        if first is not None:
            self._contexts, self._first = contexts, first

    def _choose(self, connection: ssl.SSLObject, server_name: str | None, _: ssl.SSLContext) -> None:
        name = (server_name or "").lower()
        contexts = self._contexts
        connection.context = contexts.get(name) or contexts.get("*." + name.partition(".")[2]) or self._first
        _server_names[connection] = name


# Python's ssl does not tell the name a finished handshake asked for, so the callback notes it down.
_server_names: WeakKeyDictionary[ssl.SSLObject, str] = WeakKeyDictionary()


def describe(connection: ssl.SSLObject, ja4: str) -> TLSInfo:
    """What the handshake settled; ``ja4`` is the hello's fingerprint."""
    cipher = connection.cipher()
    return TLSInfo(
        version=connection.version() or "",
        cipher=cipher[0] if cipher else "",
        server_name=_server_names.pop(connection, ""),
        client_certificate=connection.getpeercert(binary_form=True),
        ja4=ja4,
    )


def _new_context(config: TlsConfig, certificate: CertificateConfig) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _VERSIONS[config.min_version]
    context.set_ciphers(_CIPHERS)
    context.set_alpn_protocols(["http/1.1"])
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.load_cert_chain(certificate.certificate, certificate.key)
    context.verify_mode = _CLIENT[config.client_certificate]
    if config.client_ca is not None:
        context.load_verify_locations(config.client_ca)
    return context


def _names(path: str) -> list[str]:
    """The names a certificate is for: its DNS subject alternatives, else its common name."""
    with open(path, "rb") as file:  # noqa: PTH123
        certificate = x509.load_pem_x509_certificate(file.read())
    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        names = alternatives.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        names = [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]
    return [name.lower() for name in names]
