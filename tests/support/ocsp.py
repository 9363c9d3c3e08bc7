"""An OCSP responder: answers as an authority signs them, right and wrong."""

from __future__ import annotations

import datetime as dt
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA1, SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import ocsp
from cryptography.x509.oid import AuthorityInformationAccessOID, ExtendedKeyUsageOID

from tests.support.certificates import Authority, Pair

HOUR = dt.timedelta(hours=1)


class Responder:
    """Answers for what ``authority`` has issued, at ``url``."""

    def __init__(self, authority: Authority, url: str = "http://ocsp.example/") -> None:
        self.authority = authority
        self.url = url

    def issue(self, *names: str, must_staple: bool = False, **more: Any) -> Pair:
        """A certificate that names this responder, with its authority's behind it in the file."""
        location = x509.UniformResourceIdentifier(self.url)
        access = x509.AuthorityInformationAccess([x509.AccessDescription(AuthorityInformationAccessOID.OCSP, location)])
        features = [x509.TLSFeature([x509.TLSFeatureType.status_request])] if must_staple else []
        pair = self.authority.issue(*names, extensions=(access, *features), **more)
        pair.certificate.write_bytes(pair.certificate.read_bytes() + self.authority.file.read_bytes())
        return pair

    def answer(
        self,
        pair: Pair,
        *,
        status: ocsp.OCSPCertStatus = ocsp.OCSPCertStatus.GOOD,
        hours: tuple[float, float | None] = (-1, 47),
        signer: Authority | None = None,
        charged: bool | None = None,
    ) -> bytes:
        """An answer about a certificate, valid from and to, from now. ``charged``: signed by another one, whom the
        authority has charged with that, or not."""
        own = x509.load_pem_x509_certificates(pair.certificate.read_bytes())[0]
        authority, key = (signer or self.authority).sign_with()
        now = dt.datetime.now(dt.UTC).replace(microsecond=0)
        end = None if hours[1] is None else now + hours[1] * HOUR
        builder = ocsp.OCSPResponseBuilder()
        by: x509.Certificate = authority
        if charged is not None:
            key = ec.generate_private_key(ec.SECP256R1())
            uses = [ExtendedKeyUsageOID.OCSP_SIGNING] if charged else [ExtendedKeyUsageOID.SERVER_AUTH]
            helper = self.authority.issue("responder", key=key, extensions=(x509.ExtendedKeyUsage(uses),))
            by = x509.load_pem_x509_certificate(helper.certificate.read_bytes())
            builder = builder.certificates([by])
        builder = builder.add_response(
            cert=own,
            issuer=self.authority.sign_with()[0],
            algorithm=SHA1(),
            cert_status=status,
            this_update=now + hours[0] * HOUR,
            next_update=end,
            revocation_time=now - HOUR if status is ocsp.OCSPCertStatus.REVOKED else None,
            revocation_reason=None,
        ).responder_id(ocsp.OCSPResponderEncoding.HASH, by)
        return builder.sign(key, SHA256()).public_bytes(Encoding.DER)


def refusal() -> bytes:
    """What a responder says that has no time."""
    told = ocsp.OCSPResponseBuilder.build_unsuccessful(ocsp.OCSPResponseStatus.TRY_LATER)
    return told.public_bytes(Encoding.DER)
