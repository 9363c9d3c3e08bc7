"""TLS towards clients: what a connection is offered, by profile."""

from __future__ import annotations

import os
import ssl
from collections.abc import Sequence
from typing import Final

from edgeproxy.config.tls import TlsConfig
from edgeproxy.tls import openssl
from edgeproxy.tls.handshake import Context

_OLDEST: Final = {"modern": ssl.TLSVersion.TLSv1_3, "intermediate": ssl.TLSVersion.TLSv1_2}
_CLIENT: Final = {"off": ssl.CERT_NONE, "request": ssl.CERT_OPTIONAL, "require": ssl.CERT_REQUIRED}

# TLS 1.2 as Mozilla's Server Side TLS 5.7 has it in "intermediate", without finite-field DHE, which no client needs
# that can do AES-GCM. As it says too, the client's order counts: it knows whether AES or ChaCha20 costs it less.
_CIPHERS: Final = ":".join(
    f"ECDHE-{key}-{cipher}"
    for cipher in ("AES128-GCM-SHA256", "AES256-GCM-SHA384", "CHACHA20-POLY1305")
    for key in ("ECDSA", "RSA")
)

# Each costs a fifteenth of a handshake, and a client that comes back uses one.
_TICKETS: Final = 1

Pair = tuple[str, str]
"""The files of a certificate chain and of its key, which may be the same."""


def new_context(config: TlsConfig, protocols: Sequence[str]) -> Context:
    """A context that speaks ``protocols`` (ALPN), the first preferred, without a certificate yet. Raises OSError, and
    ValueError for what cannot be used."""
    context = Context(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = _OLDEST[config.profile]
    context.set_ciphers(_CIPHERS)
    context.options |= ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION
    context.options &= ~ssl.OP_CIPHER_SERVER_PREFERENCE
    context.num_tickets = _TICKETS
    openssl.tune(context)
    context.speak(protocols)
    context.verify_mode = _CLIENT[config.client_certificate]
    if config.client_ca is not None:
        try:
            context.load_verify_locations(config.client_ca)
        except ssl.SSLError as error:
            raise ValueError(f"no authority that can be read ({_reason(error)}): {config.client_ca}") from None
    return context


def load(context: ssl.SSLContext, certificate: str, key: str) -> None:
    """Have a context show a certificate, beside those of other kinds of key. Raises OSError, and ValueError in words
    for people."""
    try:
        context.load_cert_chain(certificate, key, _pass_phrase)
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise ValueError("the key is not this certificate's") from None
        raise ValueError(f"no certificate and key that can be read ({_reason(error)})") from None


def load_bytes(context: ssl.SSLContext, data: bytes) -> None:
    """The same from memory: a key and a certificate, PEM."""
    file = os.memfd_create("certificate")
    try:
        os.write(file, data)
        path = f"/proc/self/fd/{file}"
        load(context, path, path)
    finally:
        os.close(file)


def _pass_phrase() -> str:
    raise ValueError("the key has a pass phrase, which nobody is there to enter")


def _reason(error: ssl.SSLError) -> str:
    return (error.reason or "unreadable").replace("_", " ").lower()
