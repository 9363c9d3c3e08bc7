"""What is said to those who may not pass."""

from __future__ import annotations

from collections.abc import Callable
from math import ceil
from typing import Final, Protocol

from edgeproxy.http.headers import Headers
from edgeproxy.http.message import Response
from edgeproxy.pipeline.callers import Networks
from edgeproxy.pipeline.exchange import Exchange

RETRY: Final = b"retry-after"


class Refusals:
    """A stage's refusals: a sentence, never stored, each told to ``count``. ``challenge`` is the WWW-Authenticate that
    a 401 bears, b"" for none."""

    def __init__(self, count: Callable[[], None], challenge: bytes = b"") -> None:
        self._count = count
        self._challenge = challenge

    def refuse(self, status: int, why: str) -> Response:
        """``why``: a sentence without its full stop's line end."""
        self._count()
        fields: Headers = {b"content-type": b"text/plain; charset=utf-8", b"cache-control": b"no-store"}
        if status == 401 and self._challenge:
            fields[b"www-authenticate"] = self._challenge
        return Response(status, fields, b"%d %b\n" % (status, why.encode()))

    def later(self, status: int, why: str, seconds: float) -> Response:
        """The same, and when to come back."""
        response = self.refuse(status, why)
        response.own[RETRY] = b"%d" % max(1, ceil(seconds))
        return response


class Limiter(Protocol):
    """What counts events per key: ``edgeproxy.limits.gcra.Limiter``."""

    def take(self, key: str | bytes, now: float) -> float:
        """Count one event at ``now``, monotonic seconds."""

    def wait(self, key: str | bytes, now: float) -> float:
        """Seconds until one would be allowed, 0 if it is now."""


class Failures:
    """Bad credentials, counted by the network they come from (an IPv4 address, an IPv6 /64)."""

    def __init__(self, limiter: Limiter) -> None:
        self._limiter = limiter
        self._networks = Networks(32, 64)

    def wait(self, x: Exchange) -> float:
        """Seconds for which this client's network has shown too many, 0 if it has not."""
        return self._limiter.wait(self._networks.key(x), x.started)

    def count(self, x: Exchange) -> None:
        self._limiter.take(self._networks.key(x), x.started)
