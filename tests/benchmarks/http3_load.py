"""``python -m tests.benchmarks.http3_load PORT SECONDS CONNECTIONS IN_FLIGHT``: keeps asking, counts the answers.

A browser's head, encoded once; answers are counted by the ends of their streams.
"""

from __future__ import annotations

import select
import sys
import time

from qh3.quic.events import StreamDataReceived

from edgeproxy.http3 import codes, qpack
from tests.conformance.http3.cases import SETTINGS, frame
from tests.support.quic import QuicClient, get

BROWSER = (
    (b"sec-ch-ua", b'"Chromium";v="142", "Not_A Brand";v="99"'),
    (b"sec-ch-ua-mobile", b"?0"),
    (b"sec-ch-ua-platform", b'"Linux"'),
    (
        b"user-agent",
        b"Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/142.0.0.0 Safari/537.36",
    ),
    (b"accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8"),
    (b"sec-fetch-site", b"same-origin"),
    (b"sec-fetch-mode", b"navigate"),
    (b"sec-fetch-dest", b"document"),
    (b"accept-encoding", b"gzip, deflate, br, zstd"),
    (b"accept-language", b"en-US,en;q=0.9"),
    (b"priority", b"u=0, i"),
)


class Asker(QuicClient):
    """One connection that has always so many requests under way."""

    def begin(self, in_flight: int) -> None:
        """Shake hands, and ask for the first time."""
        self.connect()
        self.send(2, b"\0" + SETTINGS)
        self._question = frame(codes.HEADERS, qpack.encode(get(b"/hit", *BROWSER)))
        self._next = 0
        self.answered = 0
        for _ in range(in_flight):
            self._ask()

    def _ask(self) -> None:
        self.send(self._next, self._question, end=True)
        self._next += 4

    def work(self) -> None:
        """Take what has come; ask again for each answer."""
        while True:
            try:
                data, address = self.socket.recvfrom(65536)
            except OSError:
                break
            self.quic.receive_datagram(data, address, now=time.monotonic())
        while (event := self.quic.next_event()) is not None:
            if isinstance(event, StreamDataReceived) and event.end_stream and not event.stream_id & 3:
                self.answered += 1
                self._ask()
        now = time.monotonic()
        timer = self.quic.get_timer()
        if timer is not None and now >= timer:
            self.quic.handle_timer(now=now)
        self.flush()


def main(port: int, seconds: float, connections: int, in_flight: int) -> None:
    """Ask for ``seconds``."""
    askers = [Asker(("127.0.0.1", port), http=False) for _ in range(connections)]
    for asker in askers:
        asker.begin(in_flight)
        asker.flush()
    sockets = {asker.socket: asker for asker in askers}
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        ready, _, _ = select.select(list(sockets), [], [], 0.01)
        for sock in ready or list(sockets):
            sockets[sock].work()
    print(sum(asker.answered for asker in askers))


if __name__ == "__main__":
    main(int(sys.argv[1]), float(sys.argv[2]), int(sys.argv[3]), int(sys.argv[4]))
