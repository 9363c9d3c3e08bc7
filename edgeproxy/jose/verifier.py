"""Verifies tokens once and remembers them until they expire or the keys change."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from math import inf
from types import MappingProxyType
from typing import Any, NamedTuple

from edgeproxy.jose.claims import claim, field_value, grants
from edgeproxy.jose.keys import KeySet
from edgeproxy.jose.refresh import KeySource
from edgeproxy.jose.token import MAX_BYTES, Expectations, TokenError, UnknownKeyError, verify
from edgeproxy.pipeline.memo import Memo


class NoKeysError(Exception):
    """No key set could be had yet."""


class Accepted(NamedTuple):
    """What a verified token comes to: its claims, when it expires (Unix seconds, leeway included), the header fields
    the origin gets, and the first required claim it lacks.
    """

    claims: Mapping[str, Any]
    expires: float
    fields: tuple[tuple[bytes, bytes], ...]
    lacking: str | None


class Verifier:
    """``require`` maps a claim to the values that will do, ``fields`` to the header field it is handed on in."""

    def __init__(
        self,
        source: KeySource,
        expected: Expectations,
        require: Mapping[str, Iterable[str | int | bool]],
        fields: Mapping[str, str],
        wall: Callable[[], float],
    ) -> None:
        self.source = source
        self._expected = expected
        self._require = require
        self._fields = fields
        self._wall = wall
        self._keys: KeySet | None = None
        self._verified: Memo[bytes, Accepted] = Memo(self._verify, 4096, longest=MAX_BYTES)

    def remembers(self, token: bytes) -> bool:
        """Accepting this token again needs no signature check."""
        return token in self._verified

    def accept(self, token: bytes) -> Accepted:
        """What a token comes to. Raises TokenError, and NoKeysError where there is nothing to verify with."""
        keys = self.source.keys
        if keys is not self._keys:
            self._keys = keys
            self._verified.forget()  # a withdrawn key's tokens end with it
        accepted = self._verified[token]
        if accepted.expires <= self._wall():
            raise TokenError("The token has expired")
        return accepted

    def _verify(self, token: bytes) -> Accepted:
        if self._keys is None:
            self.source.want()
            raise NoKeysError
        try:
            claims = verify(token, self._keys, self._expected, self._wall())
        except UnknownKeyError:
            self.source.want()
            raise
        lacking = (name for name, wanted in self._require.items() if not grants(claim(claims, name), name, wanted))
        fields = ((field, field_value(claim(claims, name))) for name, field in self._fields.items())
        return Accepted(
            MappingProxyType(claims),
            claims["exp"] + self._expected.leeway if "exp" in claims else inf,
            tuple((field.encode(), value) for field, value in fields if value is not None),
            next(lacking, None),
        )

    def __repr__(self) -> str:
        return f"<Verifier {self.source!r} {self._verified!r}>"
