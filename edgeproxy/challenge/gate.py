"""Who is to be challenged, and who has been: what every request passes."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final, Protocol

from edgeproxy.challenge.clearance import Clearances, take_out
from edgeproxy.http.message import Response
from edgeproxy.pipeline.callers import Networks
from edgeproxy.pipeline.exchange import Exchange

_ROBOTS: Final = b"/robots.txt"
SAFE: Final = (b"GET", b"HEAD")


class Answering(Protocol):
    """Who answers those that the gate does not let pass. ``bits`` is how hard the puzzle is that they need to have
    solved, ``who`` whom a clearance is bound to, ``cookie`` the clearance they showed, None if none."""

    def challenge(self, x: Exchange, bits: int, who: bytes, cookie: bytes | None) -> Response:
        """The answer to one who bears no clearance that will do."""

    def reply(self, x: Exchange, bits: int, who: bytes, cookie: bytes | None) -> Response:
        """The answer to what a challenge's page asks for; ``bits`` is 0 for who need not be challenged."""


class Gate:
    """``cookie``: the clearance's name. ``parameter``: the query parameter that a challenge's page asks with, which
    comes first. ``bits``: the difficulty at each score from 0 to 100. ``always``: challenge all, not only those whom
    the checks want challenged. ``paths``, ``methods``: what is never challenged. ``passed``: called for who is cleared.
    """

    def __init__(
        self,
        clearances: Clearances,
        answering: Answering,
        passed: Callable[[], None],
        wall: Callable[[], float],
        *,
        cookie: bytes,
        parameter: bytes,
        bits: tuple[int, ...],
        always: bool,
        paths: tuple[bytes, ...],
        methods: frozenset[bytes],
    ) -> None:
        self._clearances = clearances
        self._answering = answering
        self._passed = passed
        self._wall = wall
        self._networks = Networks(32, 64)
        self._cookie = cookie
        self._crumb = cookie + b"="
        self._marker = parameter + b"="
        self._bits = bits
        self._always = always
        self._paths = paths
        self._methods = methods

    def check(self, x: Exchange) -> Response | None:
        """Answer who is to be challenged, and what the page of a challenge asks for; let all others pass.

        The cookie goes no further: it would tell visitors apart where an answer varies by Cookie.
        """
        request = x.request
        field = request.headers.get(b"cookie")
        cookie: bytes | None = None
        if field is not None and field.find(self._crumb) >= 0:
            cookie = take_out(request.headers, self._cookie)
        query = request.query
        asked = query != b"" and query.startswith(self._marker) and request.method in SAFE
        if asked or self._always or x.treatment == "challenge":
            return self._judge(x, cookie, asked)
        return None

    def _judge(self, x: Exchange, cookie: bytes | None, asked: bool) -> Response | None:
        bits = self._bits[min(x.score, 100)] if self._concerns(x) else 0
        if not (asked or bits):
            return None
        # An address or an IPv6 /64, and the agent.
        who = self._networks.key(x) + b"\0" + x.request.headers.get(b"user-agent", b"")
        if asked:
            return self._answering.reply(x, bits, who, cookie)
        if cookie is not None and self._clearances.level(cookie, who, self._wall()) >= bits:
            x.cleared = True
            self._passed()
            return None
        return self._answering.challenge(x, bits, who, cookie)

    def _concerns(self, x: Exchange) -> bool:
        if (x.treatment != "challenge" and not self._always) or x.agent or x.identity:
            return False
        request = x.request
        path = request.path
        return path != _ROBOTS and not path.startswith(self._paths) and request.method not in self._methods
