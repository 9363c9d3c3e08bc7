"""The section of TLS towards clients: certificates, profile, tickets, client certificates."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgeproxy.config.section import Section
from edgeproxy.config.values import File, Host, Many

SECRET_LEAST, SECRET_MOST = 32, 4_096  # bytes


class CertificateConfig(Section):
    """One certificate and its key."""

    certificate: File
    """File with the certificate chain, PEM, the server's own first. A relative path starts at the file's folder."""
    key: File
    """File with the private key, PEM, without a pass phrase."""


class TlsConfig(Section):
    """TLS on a listener. Certificates are chosen by the name asked for (SNI), and re-read when they change."""

    certificates: tuple[CertificateConfig, ...] = Field((), max_length=10_000)
    """Certificates in files. The first is shown to clients that name no host or an unknown one. Of several for one
    name, one of each kind of key counts, ECDSA and RSA: a client gets the kind it can check."""
    acme: Annotated[tuple[Host, ...], Many] = Field((), max_length=10_000)
    """Names whose certificates are got and renewed as `acme` says. Until one is there, a self-signed one is shown."""
    on_demand: bool = False
    """Whether names that `acme.on_demand` allows are served here: their certificates are got when first asked for."""
    profile: Literal["modern", "intermediate"] = "modern"
    """`modern`: TLS 1.3 alone. `intermediate`: TLS 1.2 too, forward secret and authenticated ciphers alone, for clients
    older than 2018."""
    ticket_secret: File | None = None
    """File with 32 random bytes or more (`openssl rand -out FILE 32`) that the keys of session tickets are made from;
    the same on all nodes of a site, which then resume each other's sessions. Without it, the workers of a node share a
    secret that is drawn when it starts. Change it from time to time: who has it reads recorded tickets."""
    stapling: bool = True
    """Whether certificates that name an OCSP responder are shown with its latest answer, fetched ahead of time."""
    client_certificate: Literal["off", "request", "require"] = "off"
    """Whether clients show a certificate: `off`, `request` (may), `require` (must). Needs `client_ca`."""
    client_ca: File | None = None
    """File with the authorities that client certificates are checked against, PEM."""
    fingerprint: bool = False
    """Take the JA4 of each hello, for `bot_check` and `rate_limit`; costs every new connection a look at it."""

    @model_validator(mode="after")
    def _fits(self) -> TlsConfig:
        if not (self.certificates or self.acme or self.on_demand):
            raise ValueError("names no certificate: give certificates (files) or acme (names)")
        if self.client_certificate != "off" and self.client_ca is None:
            raise ValueError(f"client_certificate: {self.client_certificate} needs client_ca, the file of authorities")
        if self.ticket_secret is not None and Path(self.ticket_secret).is_absolute():
            self.tickets()
        return self

    def tickets(self) -> bytes | None:
        """What ``ticket_secret`` holds. Raises ValueError if that is none."""
        if self.ticket_secret is None:
            return None
        try:
            with Path(self.ticket_secret).open("rb") as file:
                secret = file.read(SECRET_MOST)
        except OSError as error:
            raise ValueError(f"ticket_secret: {self.ticket_secret} cannot be read: {error.strerror}") from None
        if len(secret) < SECRET_LEAST:
            raise ValueError("ticket_secret: the file has at least 32 bytes; `openssl rand -out FILE 32` makes one")
        return secret
