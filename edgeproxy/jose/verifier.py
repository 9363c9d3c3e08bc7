"""Verifies tokens once and remembers them until they expire or the keys change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf
from types import MappingProxyType
from typing import NamedTuple

from edgeproxy.jose.claims import claim, field_value
from edgeproxy.jose.gate import Accepted
from edgeproxy.jose.refresh import KeySource
from edgeproxy.jose.rules import Rule
from edgeproxy.jose.token import MAX_BYTES, Expectations, TokenError, UnknownKeyError, unverified_issuer, verify
from edgeproxy.pipeline.memo import Memo


class NoKeysError(Exception):
    """The keys to judge a token by cannot be had now."""


class Issuer(NamedTuple):
    """Whose tokens are taken: where the keys come from, what a token must say, and the rules its claims must fulfil."""

    source: KeySource
    expected: Expectations
    rules: tuple[Rule, ...]


class Verifier:
    """``fields`` maps claims to the header field they are handed on in.

    Of several issuers the one is asked whom the token names, and no other: each names its ``expected.issuers``, and
    none of them twice. One alone may leave them empty.
    """

    def __init__(self, issuers: Iterable[Issuer], fields: Mapping[str, str], wall: Callable[[], float]) -> None:
        self.issuers = tuple(issuers)
        self._by_name = {name: issuer for issuer in self.issuers for name in issuer.expected.issuers}
        self._fields = fields
        self._wall = wall
        self.verified: Memo[bytes, Accepted] = Memo(self._verify, 4096, longest=MAX_BYTES)

    def accept(self, token: bytes) -> Accepted:
        """What a token comes to. Raises TokenError, and NoKeysError where there is nothing to verify with."""
        accepted = self.verified[token]
        if not accepted.stands():
            self.verified.forget()
            accepted = self.verified[token]
        if accepted.expires <= self._wall():
            raise TokenError("The token has expired")
        return accepted

    def renews(self, token: bytes) -> bool:
        """Whether waiting for newer keys may help a token that :meth:`accept` found no key for."""
        return self._issuer(token).source.renews

    async def settle(self, token: bytes) -> Accepted:
        """What a token comes to by keys that were asked for after it came. Raises like :meth:`accept`; NoKeysError also
        if they could not be had."""
        source = self._issuer(token).source
        begun = source.begun
        while True:
            source.want()
            if source.renews:
                await source.attempted()
            try:
                return self.accept(token)
            except (UnknownKeyError, NoKeysError):
                if source.failures and source.ended > begun:
                    raise NoKeysError from None
                if source.ended > begun or not source.renews:
                    raise

    def _issuer(self, token: bytes) -> Issuer:
        if len(self.issuers) == 1:
            return self.issuers[0]
        issuer = self._by_name.get(unverified_issuer(token) or "")
        if issuer is None:
            raise TokenError("The token's issuer is not accepted")
        return issuer

    def _verify(self, token: bytes) -> Accepted:
        source, expected, rules = self._issuer(token)
        keys = source.keys
        if keys is None:
            raise NoKeysError
        claims = verify(token, keys, expected, self._wall())
        fields = ((field, field_value(claim(claims, name))) for name, field in self._fields.items())
        return Accepted(
            MappingProxyType(claims),
            claims["exp"] + expected.leeway if "exp" in claims else inf,
            tuple((field.encode(), value) for field, value in fields if value is not None),
            next((rule for rule in rules if not rule.holds(claims)), None),
            keys,
            source,
        )

    def __repr__(self) -> str:
        return f"<Verifier {[issuer.source for issuer in self.issuers]!r} {self.verified!r}>"
