"""The proxy with HTTP/3 beside HTTP/1.1 and HTTP/2 on one TLS listener, before a site."""

from __future__ import annotations

import ssl
import tempfile
from pathlib import Path
from typing import Any, Self

from tests.support.certificates import Authority
from tests.support.processes import EdgeProcess
from tests.support.quic import QuicClient
from tests.support.servers import free_port
from tests.support.site import Site, config


class Http3Site:
    """A context manager. ``http3`` and ``tls``: the listener's settings; ``origin``: another one than its site;
    ``more``: further sections, as of a configuration's top level."""

    def __init__(
        self,
        http3: dict[str, Any] | None = None,
        *,
        names: tuple[str, ...] = ("localhost",),
        origin: str = "",
        tls: dict[str, Any] | None = None,
        **more: Any,
    ) -> None:
        self._folder = tempfile.TemporaryDirectory(prefix="http3-")
        folder = Path(self._folder.name)
        self.authority = Authority(folder)
        self.pair = self.authority.issue(*names, "127.0.0.1")
        self.site = Site()
        self._origin = origin
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.listener: dict[str, Any] = {
            "address": f"127.0.0.1:{self.port}",
            "protocols": ["h1", "h2", "h3"],
            "tls": {
                "certificates": [{"certificate": str(self.pair.certificate), "key": str(self.pair.key)}],
                **(tls or {}),
            },
            "http3": http3 or {},
        }
        self._more = {"middleware": {"bot_check": False}, **more}
        self.edge: EdgeProcess

    def __enter__(self) -> Self:
        self.site.__enter__()
        self.edge = EdgeProcess(config(self._origin or self.site.url, listeners=[self.listener], **self._more))
        self.edge.__enter__()
        return self

    def __exit__(self, *_: object) -> None:
        self.edge.__exit__()
        self.site.__exit__(None, None, None)
        self._folder.cleanup()

    def client(self, library: str = "qh3", **options: Any) -> QuicClient:
        """A client of its own, which has not begun."""
        return QuicClient(self.address, library=library, **options)

    def context(self) -> ssl.SSLContext:
        """What clients over TCP trust."""
        return ssl.create_default_context(cafile=str(self.authority.file))

    def metric(self, name: str, labels: str = "") -> float:
        """A metric's value, 0 if it is not there; ``labels`` as Prometheus writes them, with their braces."""
        text = self.edge.admin("/metrics")[1].decode()
        line = next((line for line in text.splitlines() if line.startswith(f"{name}{labels} ")), "")
        return float(line.rpartition(" ")[2]) if line else 0.0
