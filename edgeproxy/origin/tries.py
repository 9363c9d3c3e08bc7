"""What has been tried for one request in one pool."""

from __future__ import annotations

from edgeproxy.balance.ask import Ask
from edgeproxy.balance.kinds import Shape
from edgeproxy.errors import EdgeError, Kind
from edgeproxy.origin.endpoint import Endpoint
from edgeproxy.origin.way import Way
from edgeproxy.origin.wire import Call
from edgeproxy.pipeline.exchange import Exchange


class Tries:
    """``endpoint``: the one asked last, or whose answer was taken; ``tried``: those that did not answer. ``sent``: some
    of this try may have reached an origin; ``began``: when it was sent, in monotonic seconds; ``times``: how often the
    request was sent. ``fresh``: it is to be sent over a new connection."""

    __slots__ = ("ask", "began", "call", "connection", "endpoint", "fresh", "sent", "shape", "times", "tried", "x")

    def __init__(self, x: Exchange, call: Call, ask: Ask, shape: Shape) -> None:
        self.x = x
        self.call = call
        self.ask = ask
        self.shape = shape
        self.endpoint: Endpoint | None = None
        self.connection: Way | None = None
        self.tried: tuple[Endpoint, ...] = ()
        self.times = 0
        self.began = 0.0
        self.sent = False
        self.fresh = False

    def begin(self, endpoint: Endpoint) -> None:
        """One more try, at ``endpoint``."""
        self.x.tries += 1
        self.settle(endpoint)
        endpoint.begin()

    def settle(self, endpoint: Endpoint) -> None:
        """It is ``endpoint`` that answers."""
        self.endpoint = endpoint
        self.x.endpoint = endpoint.address

    def stale(self, error: EdgeError) -> bool:
        """Whether the origin closed a kept-alive connection as the request went out (RFC 9112 §9.3.1), or left it as it
        was told in HTTP/2 (RFC 9113 §6.8)."""
        connection = self.connection
        if connection is None or not connection.reused or connection.answered or error.kind is not Kind.CONNECTION_LOST:
            return False
        return self.call.repeatable or not self.sent

    def __repr__(self) -> str:
        return f"<Tries {self.times} sent, not answered by {[endpoint.address for endpoint in self.tried]}>"
