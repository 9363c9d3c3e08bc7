"""Whether a certificate was revoked (OCSP, RFC 6960): the question, and what an answer is worth."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Final

from edgeproxy.certificates.leaf import Leaf

if TYPE_CHECKING:
    from cryptography import x509
    from cryptography.x509 import ocsp

LARGEST: Final = 64 * 1024  # bytes of an answer
LONGEST: Final = 14 * 86_400.0  # seconds an answer may be used; what says no end of its own is used for a day
_NO_END: Final = 86_400.0
_SKEW: Final = 300.0  # seconds by which the responder's clock may be ahead


class Answer:
    """An answer that may be shown: ``response`` as it came, DER. Times are seconds since 1970: it is good until
    ``until``, a newer one should be had by ``due``."""

    __slots__ = ("due", "response", "until")

    def __init__(self, response: bytes, due: float, until: float) -> None:
        self.response = response
        self.due = due
        self.until = until

    def __repr__(self) -> str:
        return f"<Answer until {self.until:.0f}>"


def question(leaf: Leaf) -> bytes:
    """What its responder is asked, DER. Raises ValueError if the file has no certificate of who signed it."""
    from cryptography import x509  # late: 8 MB, for nothing where there is no TLS
    from cryptography.hazmat.primitives.hashes import SHA1
    from cryptography.hazmat.primitives.serialization import Encoding
    from cryptography.x509.ocsp import OCSPRequestBuilder

    if len(leaf.chain) < 2:
        raise ValueError("the file has no certificate of the authority")
    own, authority = (x509.load_der_x509_certificate(der) for der in leaf.chain[:2])
    naming = SHA1()  # noqa: S303 -- a name, not a proof: RFC 5019 §2.1.1
    return OCSPRequestBuilder().add_certificate(own, authority, naming).build().public_bytes(Encoding.DER)


def answer(leaf: Leaf, response: bytes, now: float) -> Answer:
    """What came, if it may be shown. Raises ValueError with the reason why not."""
    try:
        return _answer(leaf, response, now)
    except ValueError:
        raise
    except Exception as error:  # noqa: BLE001 -- cryptography raises many kinds for one thing: it cannot be read
        raise ValueError(f"an answer that cannot be read ({type(error).__name__})") from None


def _answer(leaf: Leaf, response: bytes, now: float) -> Answer:
    from cryptography import x509
    from cryptography.x509.ocsp import OCSPCertStatus, OCSPResponseStatus, load_der_ocsp_response

    told = load_der_ocsp_response(response)
    if told.response_status is not OCSPResponseStatus.SUCCESSFUL:
        raise ValueError(f"the responder says {told.response_status.name.lower().replace('_', ' ')}")
    own, authority = (x509.load_der_x509_certificate(der) for der in leaf.chain[:2])
    if told.serial_number != own.serial_number:
        raise ValueError("an answer about another certificate")
    _check_signature(told, authority, now)
    if told.certificate_status is OCSPCertStatus.REVOKED:
        raise ValueError("the certificate is REVOKED")
    if told.certificate_status is not OCSPCertStatus.GOOD:
        raise ValueError("the responder does not know the certificate")
    begins = told.this_update_utc.timestamp()
    ends = begins + _NO_END if told.next_update_utc is None else told.next_update_utc.timestamp()
    ends = min(ends, begins + LONGEST)
    if not begins - _SKEW <= now < ends:
        raise ValueError("an answer that is not of this time")
    return Answer(response, begins + (ends - begins) / 2, ends)


def _check_signature(told: ocsp.OCSPResponse, authority: x509.Certificate, now: float) -> None:
    """The authority has signed it, or one whom it has charged with that (RFC 6960 §4.2.2.2). Raises ValueError."""
    from cryptography.exceptions import InvalidSignature

    for signer in (authority, *(one for one in told.certificates if _is_charged(one, authority, now))):
        try:
            _verify(signer, told)
        except (InvalidSignature, TypeError, ValueError):
            continue
        return
    raise ValueError("an answer that the certificate's authority has not signed")


def _is_charged(one: x509.Certificate, authority: x509.Certificate, now: float) -> bool:
    from cryptography import x509
    from cryptography.exceptions import InvalidSignature
    from cryptography.x509.oid import ExtendedKeyUsageOID

    try:
        one.verify_directly_issued_by(authority)
        uses = one.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
    except (InvalidSignature, TypeError, ValueError, x509.ExtensionNotFound):
        return False
    today = dt.datetime.fromtimestamp(now, dt.UTC)
    return ExtendedKeyUsageOID.OCSP_SIGNING in uses and one.not_valid_before_utc <= today <= one.not_valid_after_utc


def _verify(signer: x509.Certificate, told: ocsp.OCSPResponse) -> None:
    """Raises InvalidSignature; TypeError or ValueError for a key or digest that signs no answers."""
    from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa

    key, digest = signer.public_key(), told.signature_hash_algorithm
    if digest is None:
        raise ValueError("no digest")
    if isinstance(key, ec.EllipticCurvePublicKey):
        key.verify(told.signature, told.tbs_response_bytes, ec.ECDSA(digest))
    elif isinstance(key, rsa.RSAPublicKey):
        key.verify(told.signature, told.tbs_response_bytes, padding.PKCS1v15(), digest)
    else:
        raise TypeError("no key that signs answers")
