"""Client certificates: the names in them, rules over the names, and how they are handed on (RFC 9440)."""

from __future__ import annotations

import re
from base64 import b64encode
from collections.abc import Iterable, Mapping
from ipaddress import ip_address
from typing import Any, Final, NamedTuple, Protocol

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.x509.oid import NameOID

from edgeproxy.identity.certificate_gate import Shown

Names = tuple[str, ...]

_ATTRIBUTES: Final = {  # RFC 4514 §3, and two more in use
    NameOID.COMMON_NAME: "CN",
    NameOID.ORGANIZATION_NAME: "O",
    NameOID.ORGANIZATIONAL_UNIT_NAME: "OU",
    NameOID.COUNTRY_NAME: "C",
    NameOID.STATE_OR_PROVINCE_NAME: "ST",
    NameOID.LOCALITY_NAME: "L",
    NameOID.DOMAIN_COMPONENT: "DC",
    NameOID.USER_ID: "UID",
    NameOID.SERIAL_NUMBER: "serialNumber",
}


class Certificate(NamedTuple):
    """What a certificate says. Subject and issuer by attribute (``CN``), in the order they stand; ``dns`` and hosts of
    ``email`` in lower case; ``fingerprint`` SHA-256 of the DER, in lower-case hex; ``name`` the subject as RFC 4514."""

    subject: Mapping[str, Names]
    issuer: Mapping[str, Names]
    dns: Names
    uri: Names
    email: Names
    ip: Names
    fingerprint: str
    name: str


class Pattern:
    """A text to be met exactly, or with one wildcard: ``*.a.example`` (one label), ``*@a.example`` (one mailbox),
    ``spiffe://a.example/ns/*`` (anything below)."""

    def __init__(self, text: str) -> None:
        """Raises ValueError if a star stands anywhere else."""
        bare, expression = text, ""
        if text.startswith(("*.", "*@")):
            bare, expression = text[1:], r"[^.@]+" if text[1] == "." else r"[^@]+"
            expression += re.escape(bare)
        elif text.endswith("/*"):
            bare, expression = text[:-1], re.escape(text[:-1]) + ".+"
        if "*" in bare or not bare.strip("./@"):
            raise ValueError(
                f"{text!r} is no pattern; a star stands alone for a first label, a mailbox or a path's end"
            )
        self._expression = re.compile(expression or re.escape(text), re.DOTALL)

    def meets(self, names: Iterable[str]) -> bool:
        return any(self._expression.fullmatch(name) for name in names)


class Network(Protocol):
    """A set of addresses: ``ipaddress.IPv4Network`` and the like."""

    def __contains__(self, address: Any) -> bool: ...


class Rule(NamedTuple):
    """All that is given must be met; of several patterns for one thing, one of them. Patterns in lower case for what
    has no case: ``dns`` and ``email``."""

    subject: Mapping[str, tuple[Pattern, ...]]
    issuer: Mapping[str, tuple[Pattern, ...]]
    dns: tuple[Pattern, ...]
    uri: tuple[Pattern, ...]
    email: tuple[Pattern, ...]
    ip: tuple[Network, ...]
    fingerprint: frozenset[str]

    def meets(self, certificate: Certificate) -> bool:
        """Whether the certificate is one of those meant."""
        wanted = [(self.dns, certificate.dns), (self.uri, certificate.uri), (self.email, certificate.email)]
        wanted += [(patterns, certificate.subject.get(name, ())) for name, patterns in self.subject.items()]
        wanted += [(patterns, certificate.issuer.get(name, ())) for name, patterns in self.issuer.items()]
        if not all(any(pattern.meets(names) for pattern in patterns) for patterns, names in wanted if patterns):
            return False
        if self.ip and not any(ip_address(one) in network for one in certificate.ip for network in self.ip):
            return False
        return not self.fingerprint or certificate.fingerprint in self.fingerprint


def read(der: bytes) -> Certificate:
    """What a certificate says. Raises ValueError if it cannot be read."""
    try:
        certificate = x509.load_der_x509_certificate(der)
        names = _alternatives(certificate)
        return Certificate(
            _attributes(certificate.subject),
            _attributes(certificate.issuer),
            tuple(name.lower() for name in names.get_values_for_type(x509.DNSName)),
            tuple(names.get_values_for_type(x509.UniformResourceIdentifier)),
            tuple(name.lower() for name in names.get_values_for_type(x509.RFC822Name)),
            tuple(map(str, names.get_values_for_type(x509.IPAddress))),
            certificate.fingerprint(SHA256()).hex(),
            certificate.subject.rfc4514_string(),
        )
    except Exception as error:  # noqa: BLE001 -- cryptography raises many kinds for one thing: it cannot be read
        raise ValueError(f"the certificate cannot be read: {type(error).__name__}") from None


def judge(der: bytes, rules: Iterable[Rule], identity: str) -> Shown:
    """What comes of a certificate: whether one of ``rules`` is met (without any, all certificates do), and who it is:
    the first of its ``identity`` (``name``, ``common_name``, ``dns``, ``uri``, ``email``, ``fingerprint``)."""
    field = b":" + b64encode(der) + b":"  # RFC 9440 §2.1
    try:
        certificate = read(der)
    except ValueError:
        return Shown(False, "", field)
    rules = tuple(rules)
    fits = not rules or any(rule.meets(certificate) for rule in rules)
    return Shown(fits, _identity(certificate, identity), field)


def _identity(certificate: Certificate, kind: str) -> str:
    named: dict[str, Names] = {
        "subject": (certificate.name,),
        "common_name": certificate.subject.get("CN", ()),
        "dns": certificate.dns,
        "uri": certificate.uri,
        "email": certificate.email,
    }
    fit = [name for name in named.get(kind, ()) if name and name.isprintable()]
    return fit[0] if fit else f"sha256:{certificate.fingerprint}"


def _alternatives(certificate: x509.Certificate) -> x509.SubjectAlternativeName:
    try:
        return certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except x509.ExtensionNotFound:
        return x509.SubjectAlternativeName([])


def _attributes(name: x509.Name) -> dict[str, Names]:
    found: dict[str, Names] = {}
    for attribute in name:
        label = _ATTRIBUTES.get(attribute.oid)
        if label is not None and isinstance(attribute.value, str):
            found[label] = (*found.get(label, ()), attribute.value)
    return found
