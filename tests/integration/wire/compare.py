"""Sends every case to a proxy and tells which answers it brought and which requests the origin saw for it.

All cases run side by side against one proxy and one origin. Each comes from a loopback address of its own, which the
proxy passes on in X-Forwarded-For: that is how a request at the origin finds its case. A request without that field
can only have been cut out of the one before it on the same connection, and counts for the same case.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

from tests.integration.wire.cases import Case
from tests.support.client import Answers, RawClient, split_answers
from tests.support.origin import RecordedRequest, RecordingOrigin

PROBE = b"GET /after-the-refusal HTTP/1.1\r\nHost: a.example\r\n\r\n"
_THREADS = 96
_TIMEOUT = 20.0

NGINX = """
upstream origin {{ server 127.0.0.1:{origin}; keepalive 64; }}
client_header_timeout 1s; client_body_timeout 1s; keepalive_timeout 1s; lingering_timeout 1s; lingering_time 1s;
server {{
    listen {{port}} backlog=1024;
    location / {{
        proxy_pass http://origin;
        proxy_http_version 1.1;
        proxy_request_buffering off;
        proxy_set_header Connection "";
        proxy_set_header Host $http_host;
        proxy_set_header X-Forwarded-For $remote_addr;
    }}
}}
"""


@dataclass
class Outcome:
    """What came of one case: the bytes the client got, and the requests the origin got because of it."""

    case: Case
    received: bytes
    closed: bool
    requests: list[RecordedRequest] = field(default_factory=list)

    @property
    def answers(self) -> Answers:
        """Raises NotHTTP where the answer is none."""
        methods = (b"HEAD",) if self.case.sent.startswith(b"HEAD ") else ()
        return split_answers(self.received, methods, closed=self.closed)

    @property
    def complete(self) -> list[tuple[bytes, bytes, bytes]]:
        """The origin's complete requests: method, target, body."""
        return [(request.method, request.target, request.body) for request in self.requests if request.complete]


def _address(index: int) -> str:
    return f"127.77.{index // 250}.{index % 250 + 1}"


def run_all(cases: Sequence[Case], port: int, origin: RecordingOrigin) -> list[Outcome]:
    """The outcome of each case at the proxy on ``port``, in order. Raises LookupError for an unexplained request."""
    with ThreadPoolExecutor(_THREADS) as pool:
        outcomes = list(pool.map(lambda row: _run(row[1], port, _address(row[0])), enumerate(cases)))
    by_address = {_address(index).encode(): outcome for index, outcome in enumerate(outcomes)}
    last: dict[int, Outcome] = {}
    for request in origin.requests:
        address = (request.get(b"x-forwarded-for") or b"").rsplit(b",", 1)[-1].strip()
        outcome = by_address.get(address) or last.get(request.connection)
        if outcome is None:
            raise LookupError(f"a request at the origin that belongs to no case: {request.raw!r}")
        last[request.connection] = outcome
        outcome.requests.append(request)
    return outcomes


def _run(case: Case, port: int, address: str) -> Outcome:
    """Send, read to the end; behind an answer of 400 another request is sent, which must find nobody."""
    with RawClient(("127.0.0.1", port), timeout=_TIMEOUT, source=address) as client:
        client.send(case.sent)
        client.read_until(_refused)
        if not client.closed:
            client.send(PROBE)
            client.read_to_close()
        return Outcome(case, bytes(client.received), client.closed)


def _refused(received: bytearray) -> bool:
    return received.startswith((b"HTTP/1.1 400 ", b"HTTP/1.0 400 ")) and b"\r\n\r\n" in received
