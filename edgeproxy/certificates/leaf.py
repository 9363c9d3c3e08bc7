"""What is to be known of a certificate beside the bytes that are shown: names, lifetime, key, where to ask about it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from cryptography import x509

LARGEST: Final = 1_000_000  # bytes of a file with a certificate chain

_FEATURE_STATUS: Final = "status_request"  # RFC 7633: "must staple"
_SHORT: Final = 1 / 6  # of its lifetime left, a certificate should have been renewed


class Leaf:
    """A server's own certificate. Times are seconds since 1970; ``names`` in lower case; ``issuer`` and ``kind`` for
    people to read; ``responder`` is the URL that is asked whether it was revoked, "" for none; ``chain`` it and what
    signed it, DER, as far as the file has it."""

    __slots__ = ("begins", "chain", "expires", "issuer", "kind", "must_staple", "names", "responder")

    def __init__(
        self,
        names: tuple[str, ...],
        issuer: str,
        kind: str,
        lifetime: tuple[float, float],
        responder: str,
        must_staple: bool,
        chain: tuple[bytes, ...],
    ) -> None:
        self.names = names
        self.issuer = issuer
        self.kind = kind
        self.begins, self.expires = lifetime
        self.responder = responder
        self.must_staple = must_staple
        self.chain = chain

    @property
    def name(self) -> str:
        """What it is called in logs and metrics."""
        return self.names[0] if self.names else ""

    def complaint(self, now: float) -> str:
        """What is wrong with its lifetime, "" for nothing."""
        if now >= self.expires:
            return f"expired {_age(now - self.expires)} ago"
        if now < self.begins:
            return f"is valid only in {_age(self.begins - now)}"
        if self.expires - now < (self.expires - self.begins) * _SHORT:
            return f"expires in {_age(self.expires - now)}"
        return ""

    def __repr__(self) -> str:
        return f"<Leaf {self.name} {self.kind}>"


def read(path: str) -> Leaf:
    """The first certificate in a PEM file. Raises OSError, and ValueError if there is none."""
    with open(path, "rb") as file:  # noqa: PTH123
        return parse(file.read(LARGEST))


def parse(data: bytes) -> Leaf:
    """The same of a file's bytes. Raises ValueError."""
    from cryptography import x509  # late: 8 MB, for nothing where there is no TLS
    from cryptography.hazmat.primitives.serialization import Encoding

    try:
        chain = x509.load_pem_x509_certificates(data)
        leaf = chain[0]
        return Leaf(
            tuple(name.lower() for name in _names(leaf)),
            _issuer(leaf),
            _kind(leaf),
            (leaf.not_valid_before_utc.timestamp(), leaf.not_valid_after_utc.timestamp()),
            _responder(leaf),
            _must_staple(leaf),
            tuple(certificate.public_bytes(Encoding.DER) for certificate in chain[:2]),
        )
    except Exception as error:  # noqa: BLE001 -- cryptography raises many kinds for one thing: it cannot be read
        raise ValueError(f"no certificate that can be read ({type(error).__name__})") from None


def _names(certificate: x509.Certificate) -> list[str]:
    """Its DNS subject alternatives, else its common name."""
    from cryptography import x509
    from cryptography.x509.oid import NameOID

    try:
        alternatives = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        return alternatives.value.get_values_for_type(x509.DNSName)
    except x509.ExtensionNotFound:
        return [str(name.value) for name in certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)]


def _issuer(certificate: x509.Certificate) -> str:
    from cryptography.x509.oid import NameOID

    for kind in (NameOID.ORGANIZATION_NAME, NameOID.COMMON_NAME):
        for attribute in certificate.issuer.get_attributes_for_oid(kind):
            return str(attribute.value)
    return certificate.issuer.rfc4514_string()


def _kind(certificate: x509.Certificate) -> str:
    from cryptography.hazmat.primitives.asymmetric import ec, ed448, ed25519, rsa

    kinds = {
        ec.EllipticCurvePublicKey: "ECDSA",
        rsa.RSAPublicKey: "RSA",
        ed25519.Ed25519PublicKey: "Ed25519",
        ed448.Ed448PublicKey: "Ed448",
    }
    key = certificate.public_key()
    return next((kind for type_, kind in kinds.items() if isinstance(key, type_)), type(key).__name__)


def _responder(certificate: x509.Certificate) -> str:
    """RFC 5280 §4.2.2.1."""
    from cryptography import x509
    from cryptography.x509.oid import AuthorityInformationAccessOID

    try:
        access = certificate.extensions.get_extension_for_class(x509.AuthorityInformationAccess).value
    except x509.ExtensionNotFound:
        return ""
    for one in access:
        if one.access_method == AuthorityInformationAccessOID.OCSP and isinstance(
            one.access_location, x509.UniformResourceIdentifier
        ):
            return one.access_location.value
    return ""


def _must_staple(certificate: x509.Certificate) -> bool:
    from cryptography import x509

    try:
        features = certificate.extensions.get_extension_for_class(x509.TLSFeature).value
    except x509.ExtensionNotFound:
        return False
    return any(feature.name == _FEATURE_STATUS for feature in features)


def _age(seconds: float) -> str:
    for size, unit in ((86_400, "d"), (3_600, "h"), (60, "min")):
        if seconds >= 2 * size:
            return f"{seconds // size:.0f} {unit}"
    return f"{seconds:.0f} s"
