"""``python -m tests.benchmarks.http3_bare PORT CERTIFICATE KEY``: qh3's own server; answers everything with 1 KiB."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import uvloop
from qh3.asyncio.protocol import QuicConnectionProtocol
from qh3.asyncio.server import serve
from qh3.h3.connection import H3Connection
from qh3.h3.events import HeadersReceived
from qh3.quic.configuration import QuicConfiguration
from qh3.quic.events import HandshakeCompleted, QuicEvent

BODY = b"x" * 1024
HEAD = [
    (b":status", b"200"),
    (b"content-type", b"text/plain"),
    (b"cache-control", b"max-age=600"),
    (b"content-length", b"1024"),
]


class Handler(QuicConnectionProtocol):
    """One client."""

    def __init__(self, *args: Any, **more: Any) -> None:
        super().__init__(*args, **more)
        self._http: H3Connection | None = None

    def quic_event_received(self, event: QuicEvent) -> None:
        if isinstance(event, HandshakeCompleted):
            self._http = H3Connection(self._quic)
        if self._http is not None:
            for told in self._http.handle_event(event):
                if isinstance(told, HeadersReceived):
                    self._http.send_headers(told.stream_id, HEAD)
                    self._http.send_data(told.stream_id, BODY, end_stream=True)


async def main(port: int, certificate: str, key: str) -> None:
    """Serve until killed."""
    configuration = QuicConfiguration(is_client=False, alpn_protocols=["h3"], max_datagram_frame_size=65_536)
    configuration.load_cert_chain(certificate, key)
    await serve("127.0.0.1", port, configuration=configuration, create_protocol=Handler)
    await asyncio.Event().wait()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), sys.argv[2], sys.argv[3]))
