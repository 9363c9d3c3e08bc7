"""TLS towards origins: whom to trust, what to show, and sessions to go on with."""

from __future__ import annotations

import logging
import ssl
from typing import Any, cast

from edgeproxy.config.connections import OriginTlsConfig

logger = logging.getLogger("edgeproxy.origin")

_VERSIONS = {"1.2": ssl.TLSVersion.TLSv1_2, "1.3": ssl.TLSVersion.TLSv1_3}


class OriginTls:
    """A pool's TLS. ``context`` changes as a whole when its ``files`` did."""

    def __init__(self, pool: str, config: OriginTlsConfig, protocol: str = "http/1.1") -> None:
        """``protocol``: what is to be spoken, as ALPN calls it. Raises ValueError if a file cannot be used."""
        self.context = _context(config, protocol)
        self.files = [file for file in (config.ca, config.certificate, config.key) if file is not None]
        self._pool = pool
        self._config = config
        self._protocol = protocol

    def renew(self) -> None:
        """Read the files again; if they cannot be used, all stays as it was. Takes a hundredth of a second."""
        try:
            self.context = _context(self._config, self._protocol)
        except ValueError as error:
            logger.error("pool %s: %s; the last ones are used on", self._pool, error)
        else:
            logger.info("pool %s: %s read again", self._pool, ", ".join(self.files))

    def __repr__(self) -> str:
        return f"<OriginTls {self._pool}>"


class Session:
    """The TLS session of one endpoint, to begin the next connection with (RFC 8446 §2.2): a round trip's arithmetic
    and the certificate's bytes less. It ends with the context that it was made in, and so with what that trusts."""

    __slots__ = ("_context", "_session", "_tls")

    def __init__(self, tls: OriginTls) -> None:
        self._tls = tls
        self._context = tls.context
        self._session: ssl.SSLSession | None = None

    def context(self) -> ssl.SSLContext:
        """What an event loop is to be given as its ``ssl``."""
        context = self._tls.context
        if context is not self._context:
            self._context, self._session = context, None
        if self._session is None:
            return context
        return cast("ssl.SSLContext", _Resuming(context, self._session))

    def learn(self, connection: Any) -> None:
        """Take over the session of a connection (its SSLObject). Tickets came with the answer (RFC 8446 §4.6.1)."""
        session = getattr(connection, "session", None)
        if session is not None and connection.context is self._context:
            self._session = session

    def __repr__(self) -> str:
        return f"<Session {'to resume' if self._session else 'new'}>"


class _Resuming:
    """All that event loops ask of an SSLContext. Their interfaces have no place for a session."""

    __slots__ = ("_context", "_session")

    def __init__(self, context: ssl.SSLContext, session: ssl.SSLSession) -> None:
        self._context = context
        self._session = session

    def wrap_bio(
        self,
        incoming: ssl.MemoryBIO,
        outgoing: ssl.MemoryBIO,
        server_side: bool = False,
        server_hostname: str | None = None,
    ) -> ssl.SSLObject:
        return self._context.wrap_bio(incoming, outgoing, server_side, server_hostname, self._session)


def reason(error: ssl.SSLError) -> str:
    """What was wrong, in OpenSSL's words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return error.verify_message
    return error.reason or str(error)


def _context(config: OriginTlsConfig, protocol: str) -> ssl.SSLContext:
    """Certificates and names are checked unless the configuration says otherwise."""
    try:
        context = ssl.create_default_context(cafile=config.ca)
    except OSError as error:
        raise ValueError(f"tls.ca: {config.ca} cannot be used: {error.strerror or error}") from None
    context.set_alpn_protocols([protocol])
    context.minimum_version = _VERSIONS[config.min_version]
    if config.certificate is not None:
        try:
            context.load_cert_chain(config.certificate, config.key, password="")
        except OSError as error:
            why = reason(error) if isinstance(error, ssl.SSLError) else error.strerror or str(error)
            raise ValueError(f"tls.certificate: {config.certificate} cannot be used: {why}") from None
    if not config.verify:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    return context
