"""The section of HTTP/3 on a listener."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from edgeproxy.config.section import Section
from edgeproxy.config.units import Duration, Size
from edgeproxy.config.values import Host, Many, Off


class Http3Config(Section):
    """HTTP/3 on a listener: QUIC datagrams on the address of its TCP port. Its heads, bodies and times have the
    `limits` that HTTP/1.1 has, each stream on its own; a connection may have 100 requests at once.

    A byte costs several times what it costs over TLS: it is for pages and APIs, `hosts_off` takes out what sends large
    files."""

    advertise: Annotated[Duration | None, Off] = Field(86400, ge=1, le=31_536_000)
    """How long clients may remember that HTTP/3 is spoken here, 1s to 365d: what `Alt-Svc` says in every answer over
    TLS. `off` says nothing of it."""
    port: int | None = Field(None, ge=1, le=65_535)
    """The port that clients are told, where they reach this one under another number; the listener's own by default."""
    hosts: Annotated[tuple[Host, ...], Many] = Field((), max_length=10_000)
    """Hosts that are served over HTTP/3, all where none are given: `example.com`, `*.example.com`."""
    hosts_off: Annotated[tuple[Host, ...], Many] = Field((), max_length=10_000)
    """Hosts that are not, of those: nothing is said of HTTP/3 in their answers, no handshake for them succeeds, and a
    request for one on another host's connection gets 421."""
    retry: Literal["auto", "always", "off"] = "auto"
    """Whether a client has to show, before anything is worked out for it, that its address is its own; that costs it a
    round trip. `auto`: while more than an eighth of `limits.handshakes` are under way."""
    early_data: bool = True
    """Whether clients that come back may send GET and HEAD requests along with their hello (0-RTT): passed on with
    `Early-Data: 1`, each ticket once on this node; others get 425."""
    window: Size = Field(512_000, ge=16_000, le=16_000_000)
    """Bytes of one request's body that may be on their way: 16KB to 16MB."""
    connection_window: Size = Field(1_024_000, ge=16_000, le=64_000_000)
    """The same of all bodies on a connection together: 16KB to 64MB. While somebody reads nothing of one, the others
    on the same connection wait too once it is used up."""
    receive_buffer: Size = Field(4_000_000, ge=65_536, le=256_000_000)
    """The socket's buffer for datagrams, per worker: 64KiB to 256MB. The kernel allows no more than
    `net.core.rmem_max`; what does not fit is lost, and sent again."""

    @model_validator(mode="after")
    def _windows_fit(self) -> Http3Config:
        if self.window > self.connection_window:
            raise ValueError("window: one body's is no larger than connection_window, which is all bodies' together")
        return self
