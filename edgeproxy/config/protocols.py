"""What a listener speaks, and what a connection of HTTP/2 may ask of it."""

from __future__ import annotations

from pydantic import Field

from edgeproxy.config.section import Section
from edgeproxy.config.units import Size


class Http2Config(Section):
    """What one HTTP/2 connection may use up. Its heads, bodies and times have the `limits` that HTTP/1.1 has, each
    stream on its own; who costs work and asks for nothing is cut off."""

    streams: int = Field(100, ge=1, le=10_000)
    """Most requests at once on a connection: 1 to 10000; more are refused, and may be sent again."""
    window: Size = Field(256_000, ge=65_535, le=16_000_000)
    """Bytes of one request's body that may wait here until the origin takes them: 65535 to 16MB."""
    connection_window: Size = Field(1_024_000, ge=65_535, le=1_000_000_000)
    """The same of all bodies on a connection together: 65535 to 1GB. Less than `streams` times `window` bounds the
    memory, and lets bodies that nobody takes hold up the others."""
