"""API keys: made here, known by their digests alone, found by one look-up.

A key is 32 random bytes, so its SHA-256 is as good as a slow hash: there are no likely keys to try, and nobody tries
2^256. For the same reason the look-up tells nothing by its time: what is compared are digests, and whoever could
choose a digest's first bytes could choose keys.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from hashlib import sha256
from math import inf
from typing import Final, NamedTuple

from edgeproxy.http.headers import disown
from edgeproxy.http.message import Response
from edgeproxy.identity.places import Place
from edgeproxy.identity.refusals import Failures, Refusals
from edgeproxy.pipeline.exchange import Exchange

PREFIX: Final = "epk_"  # by which scanners for leaked secrets know one
SHORTEST: Final = 32  # characters of a key made elsewhere
DISTINCT: Final = 12  # different characters among them
LONGEST: Final = 512  # bytes of a key that is looked at

_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.@-]{0,63}")
_NO_NAME: Final = "it does not begin with a name: letters, digits, _, ., @ and -, at most 64"
_SCOPE: Final = re.compile(r"[!#-\[\]-~]{1,128}")  # RFC 6749 §3.3
_DIGEST: Final = re.compile(r"sha256:([0-9a-f]{64})")


class ApiKey(NamedTuple):
    """Whose a key is, what it allows, and when it ends (Unix seconds)."""

    name: str
    scopes: frozenset[str]
    expires: float


def parse_key(line: str) -> tuple[bytes, ApiKey]:
    """A key's digest and whose it is, from ``NAME sha256:HEX [scopes=a,b] [expires=2027-01-31]``.

    Raises ValueError, whose text holds nothing of the line: it might be a key that was put in the wrong place.
    """
    name, *rest = line.split() or [""]
    if not _NAME.fullmatch(name):
        raise ValueError(_NO_NAME)
    digest = _DIGEST.fullmatch(rest[0]) if rest else None
    if digest is None:
        raise ValueError("the name is not followed by sha256: and 64 hexadecimal digits, as `edgeproxy key` prints it")
    scopes: frozenset[str] = frozenset()
    expires = inf
    for setting in rest[1:]:
        kind, _, value = setting.partition("=")
        if kind == "scopes":
            scopes = frozenset(value.split(","))
            if not all(_SCOPE.fullmatch(scope) for scope in scopes):
                raise ValueError("scopes= is followed by scopes, with commas between them and no blanks")
        elif kind == "expires":
            expires = parse_time(value)
        else:
            raise ValueError("behind the digest only scopes= and expires= may stand")
    return bytes.fromhex(digest[1]), ApiKey(name, scopes, expires)


def parse_keys(lines: Iterable[str]) -> dict[bytes, ApiKey]:
    """The keys of a file's lines, by digest; empty lines and those that begin with # are none. Raises ValueError."""
    keys: dict[bytes, ApiKey] = {}
    for number, line in enumerate(lines, 1):
        if line.strip() and not line.lstrip().startswith("#"):
            try:
                digest, key = parse_key(line)
            except ValueError as error:
                raise ValueError(f"line {number}: {error}") from None
            if digest in keys:
                raise ValueError(f"line {number}: the key of {keys[digest].name} once more")
            keys[digest] = key
    return keys


def parse_time(text: str) -> float:
    """Unix seconds of ``2027-01-31`` (its first moment) or ``2027-01-31T12:00:00Z``; UTC unless it says otherwise."""
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ValueError("expires= is followed by a date like 2027-01-31 or 2027-01-31T12:00:00Z") from None
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def new_key() -> str:
    """A key nobody has: 256 random bits."""
    return PREFIX + secrets.token_urlsafe(32)


def line_of(name: str, key: str, scopes: Iterable[str] = (), expires: float = inf) -> str:
    """The line that stores a key. Raises ValueError if it is too easy to guess, or the name or a scope is none."""
    if len(key) < SHORTEST or len(set(key)) < DISTINCT:
        raise ValueError(
            f"a key has at least {SHORTEST} random characters: a fast hash guards only what cannot be guessed"
        )
    if len(key.encode()) > LONGEST or not key.isascii() or not key.isprintable() or " " in key:
        raise ValueError(f"a key has at most {LONGEST} printable ASCII characters and no blanks")
    if not _NAME.fullmatch(name):
        raise ValueError(_NO_NAME)
    line = f"{name} sha256:{sha256(key.encode()).hexdigest()}"
    if told := ",".join(scopes):
        line += f" scopes={told}"
    if expires != inf:
        line += f" expires={datetime.fromtimestamp(expires, UTC).strftime('%Y-%m-%dT%H:%M:%SZ')}"
    parse_key(line)
    return line


class KeyCheck:
    """Lets in whose key is known. ``known`` is replaced as a whole when the keys change.

    ``places`` are where keys are looked for: the first found counts, and all are taken out if ``hide``. ``require``:
    scopes a key must have; ``field``: where the origin is told its name, b"" for nowhere; ``optional``: no key passes,
    as nobody.
    """

    def __init__(
        self,
        places: tuple[Place, ...],
        require: frozenset[str],
        field: bytes,
        refusals: Refusals,
        failures: Failures,
        wall: Callable[[], float],
        *,
        hide: bool,
        optional: bool,
    ) -> None:
        self.known: dict[bytes, ApiKey] = {}
        self._places = places
        self._require = require
        self._field = field
        self._owned = frozenset((field,))
        self._refusals = refusals
        self._failures = failures
        self._wall = wall
        self._hide = hide
        self._optional = optional

    def check(self, x: Exchange) -> Response | None:
        """Let the exchange pass as the one whose key it bears, or refuse it."""
        request = x.request
        if self._field:
            disown(request.headers, self._owned)
        shown: bytes | None = None
        for place in self._places:
            found = place.take(request, self._hide)
            if shown is None:
                shown = found
        if shown is None:
            return None if self._optional else self._refusals.refuse(401, "A key is needed.")
        key = self.known.get(sha256(shown).digest()) if len(shown) <= LONGEST else None
        if key is None:
            return self._unknown(x)
        if key.expires <= self._wall():
            return self._refusals.refuse(401, "The key has expired.")
        if not self._require <= key.scopes:
            return self._refusals.refuse(403, "The key does not allow this.")
        x.identity = key.name
        if self._field:
            request.headers[self._field] = key.name.encode()
        return None

    def _unknown(self, x: Exchange) -> Response:
        """Good keys pass at any rate: to look one up costs as little as to refuse it, and neighbours may share an
        address with somebody who guesses."""
        wait = self._failures.wait(x)
        if wait:
            return self._refusals.later(429, "Too many unknown keys.", wait)
        self._failures.count(x)
        return self._refusals.refuse(401, "The key is not known.")

    def __repr__(self) -> str:
        return f"<KeyCheck {len(self.known)} keys>"
