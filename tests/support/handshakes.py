"""Handshakes in memory: a client's context and a server's, without a socket."""

from __future__ import annotations

import ssl
from typing import NamedTuple

ROUNDS = 8


class Met(NamedTuple):
    """Both ends of a handshake that was completed."""

    client: ssl.SSLObject
    server: ssl.SSLObject

    @property
    def names(self) -> set[str]:
        """What the certificate shown is for."""
        certificate = self.client.getpeercert()
        assert certificate is not None
        return {str(entry[1]) for entry in certificate["subjectAltName"]}

    @property
    def key(self) -> str:
        """The kind of key shown."""
        from cryptography import x509

        shown = self.client.getpeercert(binary_form=True)
        assert shown is not None
        return type(x509.load_der_x509_certificate(shown).public_key()).__name__


def client_context(authority: str, *protocols: str) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=authority)
    if protocols:
        context.set_alpn_protocols(protocols)
    return context


def meet(
    client: ssl.SSLContext, server: ssl.SSLContext, name: str | None = None, session: ssl.SSLSession | None = None
) -> Met:
    """Let them shake hands. Raises the client's ssl.SSLError if it is refused, with the alert it was told."""
    to_client, to_server = ssl.MemoryBIO(), ssl.MemoryBIO()
    asking = client.wrap_bio(to_client, to_server, server_hostname=name, session=session)
    answering = server.wrap_bio(to_server, to_client, server_side=True)
    refusal: ssl.SSLError | None = None
    for _ in range(ROUNDS):
        try:
            asking.do_handshake()
        except ssl.SSLWantReadError:
            pass
        try:
            answering.do_handshake()
        except ssl.SSLWantReadError:
            continue
        except ssl.SSLError as error:
            refusal = error
            asking.do_handshake()  # reads the alert
            break
        break
    if refusal is not None:
        raise refusal
    asking.do_handshake()
    try:
        asking.read(1)  # tickets come behind the handshake
    except ssl.SSLWantReadError:
        pass
    return Met(asking, answering)
