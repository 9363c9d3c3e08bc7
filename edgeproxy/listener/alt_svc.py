"""Who is told that HTTP/3 is spoken here (RFC 7838 §3): the field's forms ready made, and for which hosts."""

from __future__ import annotations

from typing import Final

from edgeproxy.config.http3 import Http3Config
from edgeproxy.http2 import hpack

HOSTS_KEPT: Final = 4096

NOTHING: Final = b""


class Hosts:
    """The hosts of one listener that are served over HTTP/3."""

    def __init__(self, config: Http3Config) -> None:
        self._on = frozenset(host.encode() for host in config.hosts)
        self._off = frozenset(host.encode() for host in config.hosts_off)
        self._all = not self._on and not self._off
        self._known: dict[bytes, bool] = {}

    def has(self, host: bytes) -> bool:
        """Whether ``host``, in lower case and without its port, is one."""
        if self._all:
            return True
        known = self._known.get(host)
        if known is None:
            if len(self._known) >= HOSTS_KEPT:
                self._known.clear()
            known = self._known[host] = (not self._on or _among(host, self._on)) and not _among(host, self._off)
        return known

    def __repr__(self) -> str:
        return f"<Hosts {'all' if self._all else f'{len(self._on)} on, {len(self._off)} off'}>"


class AltSvc:
    """What answers of a listener over TLS say; nothing, with ``config`` None. ``port`` is the listener's."""

    def __init__(self, config: Http3Config | None, port: int) -> None:
        told = config is not None and config.advertise is not None
        self._hosts = Hosts(config) if config is not None and told else None
        self.value = b""
        if config is not None and config.advertise is not None:
            self.value = b'h3=":%d"; ma=%d' % (config.port or port, config.advertise)
        self._line = b"alt-svc: %b\r\n" % self.value if self.value else NOTHING
        self._block = hpack.packed(b"alt-svc", self.value) if self.value else NOTHING

    def line(self, host: bytes) -> bytes:
        """The field line of HTTP/1.1 for an answer of ``host``, b"" for none."""
        hosts = self._hosts
        return self._line if hosts is not None and hosts.has(host) else NOTHING

    def block(self, host: bytes) -> bytes:
        """The same for HTTP/2."""
        hosts = self._hosts
        return self._block if hosts is not None and hosts.has(host) else NOTHING

    def __repr__(self) -> str:
        return f"<AltSvc {self.value.decode()}>"


def _among(host: bytes, names: frozenset[bytes]) -> bool:
    """Whether a host is named, or below a name that begins with ``*.``."""
    if host in names:
        return True
    below = host.partition(b".")[2]
    while below:
        if b"*." + below in names:
            return True
        below = below.partition(b".")[2]
    return False
