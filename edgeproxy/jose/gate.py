"""What every request with a token passes: a remembered one is let in by look-ups alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import TYPE_CHECKING, Any

from edgeproxy.http.headers import disown
from edgeproxy.http.message import Response
from edgeproxy.jose.places import Places
from edgeproxy.pipeline.exchange import Exchange
from edgeproxy.pipeline.memo import Memo

if TYPE_CHECKING:  # they import cryptography, which takes a tenth of a second: only where tokens are verified
    from edgeproxy.jose.keys import KeySet
    from edgeproxy.jose.refresh import KeySource
    from edgeproxy.jose.rules import Rule


class Accepted:
    """What a verified token comes to: its claims, when it expires (Unix seconds, leeway included), the header fields
    the origin gets, the first rule it does not fulfil, and the keys it was verified with.
    """

    __slots__ = ("_keys", "_source", "claims", "expires", "fields", "lacking")

    def __init__(
        self,
        claims: Mapping[str, Any],
        expires: float,
        fields: tuple[tuple[bytes, bytes], ...],
        lacking: Rule | None,
        keys: KeySet,
        source: KeySource,
    ) -> None:
        self.claims = claims
        self.expires = expires
        self.fields = fields
        self.lacking = lacking
        self._keys = keys
        self._source = source

    def stands(self) -> bool:
        """Whether the keys are still those: a withdrawn key's tokens end with it."""
        return self._source.keys is self._keys

    def __repr__(self) -> str:
        return f"<Accepted {dict(self.claims)!r} until {self.expires:.0f}, lacking {self.lacking}>"


class Gate:
    """``owned`` are the fields only we may set; ``unseen`` decides on what is not remembered (the token, None if there
    is none), ``lacks`` refuses a token whose claims do not do."""

    def __init__(
        self,
        places: Places,
        owned: frozenset[bytes],
        verified: Memo[bytes, Accepted],
        wall: Callable[[], float],
        unseen: Callable[[Exchange, bytes | None], Response | Awaitable[Response | None] | None],
        lacks: Callable[[Rule], Response],
    ) -> None:
        self._places = places
        self._owned = owned
        self._verified = verified
        self._wall = wall
        self._unseen = unseen
        self._lacks = lacks

    def check(self, x: Exchange) -> Response | Awaitable[Response | None] | None:
        """The request hook."""
        if self._owned:
            disown(x.request.headers, self._owned)
        token = self._places.find(x)
        if token is not None and token in self._verified:
            accepted = self._verified[token]
            if accepted.expires > self._wall() and accepted.stands():
                return self.admit(x, accepted)
        return self._unseen(x, token)

    def admit(self, x: Exchange, accepted: Accepted) -> Response | None:
        """Let an accepted token in, if its claims do."""
        if accepted.lacking is not None:
            return self._lacks(accepted.lacking)
        x.claims = accepted.claims
        for name, value in accepted.fields:
            x.request.headers[name] = value
        return None
