"""gRPC calls, where the edge has a say in how they end: by an answer of its own, or in the log."""

from __future__ import annotations

from typing import Final

from edgeproxy.errors import Kind
from edgeproxy.http import grpc
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange

MESSAGE_LONGEST: Final = 200  # bytes of an answer's text that a call is told
_LATE: Final = Kind.RESPONSE_TIMEOUT.value
_OF_BODIES: Final = (b"content-length", b"content-encoding", b"vary", b"etag", b"last-modified")


def refuse(x: Exchange, response: Response) -> None:
    """Turn an answer that was made here into one that a call's client understands: 200, and gRPC's own status."""
    late = x.error == _LATE and grpc.TIMEOUT in x.request.headers
    code = grpc.DEADLINE_EXCEEDED if late else grpc.status_of(response.status)
    body = response.body
    text = b"HTTP status %d" % response.status
    if not isinstance(body, bytes):
        body.close()
    elif (response.get(b"content-type") or b"")[:10] == b"text/plain":
        text = body[:MESSAGE_LONGEST].strip()
    for name in _OF_BODIES:
        response.drop(name)
    for name, value in grpc.refusal(code, text).items():
        response.set(name, value)
    response.status, response.body, response.filters = 200, b"", None
    x.grpc = str(code)


def note(x: Exchange, response: Response) -> None:
    """Take down what a call has been answered."""
    if grpc.is_grpc(x.request.headers):
        body = response.body
        x.grpc = grpc.ended_with(response.headers() if isinstance(body, bytes) else body.trailers)
