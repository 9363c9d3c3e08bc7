"""Requests for a key whose answers could not be shared lately (hit-for-miss): each goes to the origin by itself."""

from __future__ import annotations

from typing import Final

from edgeproxy.cache.rules import Rules
from edgeproxy.http.message import Response
from edgeproxy.pipeline.errand import Onlooker
from edgeproxy.pipeline.exchange import Exchange

# One object each: who counts compares identity first.
_VERDICTS: Final = {reason: b"fwd=" + reason for reason in (b"uri-miss", b"vary-miss")}


class Passed(Onlooker):
    """A request that nobody waits for, and whose answer is not kept: it was asked with the client's own conditions. But
    ``passing``, its key among those that pass, ends with the first answer that could have been, where its Cache-Control
    does not speak against it."""

    def __init__(self, rules: Rules, passing: bytes, reason: bytes) -> None:
        self._rules = rules
        self._passing = passing
        self._verdict = _VERDICTS[reason]

    def before(self, x: Exchange) -> None:
        x.verdict = self._verdict

    def after(self, x: Exchange, response: Response) -> None:
        control = response.get(b"cache-control", b"") or b""
        if control.find(b"no-store") >= 0 or control.find(b"private") >= 0:
            return  # the usual reasons, known without a closer look
        rules = self._rules
        if rules.fits(response) and rules.storable(x, response.status, response.headers()):
            rules.tiers.passing.discard(self._passing)
