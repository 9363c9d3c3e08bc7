"""Requests for a key whose answers could not be shared lately (hit-for-miss): each goes to the origin by itself."""

from __future__ import annotations

from typing import ClassVar

from edgeproxy.cache.landing import Store
from edgeproxy.cache.lookup import Fetch
from edgeproxy.cache.rules import Rules
from edgeproxy.http.message import Response
from edgeproxy.pipeline.exchange import Exchange


class Passed:
    """A request that nobody waits for, and whose answer is not kept: it was asked with the client's own conditions. But
    ``passing``, its key among those that pass, ends with the first answer that could have been, where its Cache-Control
    does not speak against it."""

    keeps: ClassVar[bool] = False

    def __init__(self, rules: Rules, passing: bytes, reason: bytes) -> None:
        self._rules = rules
        self._passing = passing
        self._reason = reason

    async def fetch(self, x: Exchange, fetch: Fetch, store: Store) -> Response:
        """The origin's answer. Raises EdgeError."""
        rules = self._rules
        x.verdict = b"fwd=" + self._reason
        response = await fetch(x)
        control = response.get(b"cache-control", b"") or b""
        if control.find(b"no-store") >= 0 or control.find(b"private") >= 0:
            return response  # the usual reasons, known without a closer look
        if rules.fits(response) and rules.storable(x, response.status, response.headers()):
            rules.tiers.passing.discard(self._passing)
        return response
