"""A handshake as the event loop drives it. Interpreted: it subclasses a class of Python's own."""

from __future__ import annotations

import socket
import ssl
import sys
from contextvars import ContextVar
from ssl import SSLWantReadError
from typing import Any

from edgeproxy.pipeline.exchange import TLSInfo

# The socket of the connection whose handshake begins: the loop makes the object below without telling.
CONNECTING: ContextVar[socket.socket | None] = ContextVar("CONNECTING", default=None)


class Handshake(ssl.SSLObject):
    """Knows the name the client asked for, and tells the client why it is refused: uvloop closes a connection whose
    handshake has failed without sending the alert."""

    server_name = ""
    _sslobj: Any
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
        made.outgoing = outgoing
        made.socket = CONNECTING.get()
        wrap = context._wrap_bio  # noqa: SLF001 -- as Python's own class does
        made._sslobj = wrap(  # noqa: SLF001
            incoming, outgoing, server_side, server_hostname, owner=made, session=session
        )
        return made

    def do_handshake(self) -> None:
        try:
            self._sslobj.do_handshake()
        except SSLWantReadError:
            raise
        except ssl.SSLError:
            self._tell()
            raise
        self.socket = None

    def _tell(self) -> None:
        sock, self.socket = self.socket, None
        if sock is not None and self.outgoing.pending:
            try:
                sock.send(self.outgoing.read())
            except OSError:
                pass  # gone, or it does not read: it learns nothing


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
