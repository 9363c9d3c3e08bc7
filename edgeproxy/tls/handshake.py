"""A handshake as the event loop drives it. Interpreted: it subclasses a class of Python's own."""

from __future__ import annotations

import socket
import ssl
import sys
from collections.abc import Sequence
from contextvars import ContextVar
from ssl import SSLWantReadError
from typing import Any, Final

from edgeproxy.pipeline.exchange import TLSInfo
from edgeproxy.tls import client_hello

# A record with one alert (RFC 8446 §5.1, §6): fatal, no_application_protocol.
_NO_APPLICATION_PROTOCOL: Final = bytes((21, 3, 3, 0, 2, 2, 120))

# The socket of the connection whose handshake begins: the loop makes the object below without telling.
CONNECTING: ContextVar[socket.socket | None] = ContextVar("CONNECTING", default=None)


class Handshake(ssl.SSLObject):
    """Knows the name the client asked for, refuses one that offers other protocols alone (RFC 7301 §3.2, which Python's
    ssl leaves out), and tells the client why it is refused: uvloop closes a connection whose handshake has failed
    without sending the alert."""

    server_name = ""
    _sslobj: Any
    _protocols: Sequence[bytes]
    _hello: bytes | None  # as far as it has come, until it is answered
    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    socket: socket.socket | None

    @classmethod
    def _create(
        cls,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | None = None,
        session: ssl.SSLSession | None = None,
        context: Any = None,
    ) -> Handshake:
        made = cls.__new__(cls)
        made.incoming, made.outgoing = incoming, outgoing
        made.socket = CONNECTING.get()
        made._protocols, made._hello = context.protocols, b""  # noqa: SLF001 -- its own
        wrap = context._wrap_bio  # noqa: SLF001 -- as Python's own class does
        made._sslobj = wrap(  # noqa: SLF001
            incoming, outgoing, server_side, server_hostname, owner=made, session=session
        )
        return made

    def do_handshake(self) -> None:
        if self._hello is not None:
            self._keep(self._hello)
        try:
            self._sslobj.do_handshake()
        except SSLWantReadError:
            if self._hello is not None and self.outgoing.pending:
                self._agree(self._hello)
            raise
        except ssl.SSLError:
            self._tell()
            raise
        self.socket = None

    def _keep(self, hello: bytes) -> None:
        """A copy of what has come. Raises SSLWantReadError if that is nothing, as libssl would for more."""
        incoming = self.incoming
        came = incoming.read()
        if not came and not incoming.eof:
            raise SSLWantReadError
        incoming.write(came)
        self._hello = hello + came if len(hello) < client_hello.LONGEST else hello

    def _agree(self, hello: bytes) -> None:
        """The hello has been answered. Raises ssl.SSLError if no protocol could be chosen from what it offers."""
        self._hello = None
        if self._sslobj.selected_alpn_protocol() is None and not _fits(hello, self._protocols):
            self.outgoing.read()
            self.outgoing.write(_NO_APPLICATION_PROTOCOL)
            self._tell()
            raise ssl.SSLError(ssl.SSL_ERROR_SSL, "none of the protocols offered is spoken")

    def _tell(self) -> None:
        sock, self.socket = self.socket, None
        if sock is not None and self.outgoing.pending:
            try:
                sock.send(self.outgoing.read())
            except OSError:
                pass  # gone, or it does not read: it learns nothing


class Context(ssl.SSLContext):
    """A server's, whose handshakes are as above."""

    sslobject_class = Handshake
    protocols: Sequence[bytes] = ()
    """Spoken over what it secures, the first preferred (ALPN)."""

    def speak(self, protocols: Sequence[str]) -> None:
        self.set_alpn_protocols(protocols)
        self.protocols = tuple(protocol.encode("ascii") for protocol in protocols)


def _fits(hello: bytes, protocols: Sequence[bytes]) -> bool:
    """Whether a hello offers one of these protocols, or none at all."""
    try:
        offer = client_hello.offer(hello)
    except client_hello.HelloError:
        return False
    return offer is not None and (not offer.protocols or not set(protocols).isdisjoint(offer.protocols))


def bear_any_name() -> None:
    """A server name that is not ASCII ends its handshake inside Python's ssl, which would write a traceback for
    each."""
    if sys.unraisablehook is not _unraisable:
        sys.unraisablehook = _unraisable


def _unraisable(told: sys.UnraisableHookArgs) -> None:
    error = told.exc_value
    if not (isinstance(error, UnicodeDecodeError) and told.object == error.object):
        sys.__unraisablehook__(told)


def describe(connection: ssl.SSLObject, ja4: str) -> TLSInfo:
    """What the handshake settled; ``ja4`` is the hello's fingerprint."""
    cipher = connection.cipher()
    return TLSInfo(
        version=connection.version() or "",
        cipher=cipher[0] if cipher else "",
        server_name=getattr(connection, "server_name", ""),
        client_certificate=connection.getpeercert(binary_form=True),
        ja4=ja4,
    )
