"""Content negotiation: Accept-Encoding (RFC 9110 §12.5.3), parsed with its weights, and Vary (RFC 9110 §12.5.5)."""

from __future__ import annotations

import re
from functools import lru_cache

from edgeproxy.http.headers import members, tokens
from edgeproxy.http.message import Response

IDENTITY = b"identity"

# The codings this server can make, the one it likes best first: it decides between equal weights.
PREFERENCE: tuple[bytes, ...] = (b"br", b"zstd", b"gzip")

_OFFERED = (*PREFERENCE, IDENTITY)
_ALIASES: dict[bytes, bytes] = {b"x-gzip": b"gzip", b"x-compress": b"compress"}  # RFC 9110 §8.4.1
_MEMBER = re.compile(rb"([!#$%&'*+.^_`|~0-9a-z-]+)(?:[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?")
_MEMO_LONGEST = 256  # longer values are parsed, but not remembered


def accepted_encodings(value: bytes | None) -> tuple[bytes, ...]:
    """The codings out of br, zstd, gzip and identity that the client accepts, the one to choose first.

    By weight, then by the server's preference, with identity behind its equals; identity is left out only if the
    client refuses it. A client that does not send the field, or sends it empty, gets identity: not naming any coding
    allows all of them, but those who name none rarely can decode one.
    """
    if not value:
        return (IDENTITY,)
    return _negotiated(value)[0] if len(value) <= _MEMO_LONGEST else _negotiate(value)[0]


def normalize_encoding(value: bytes | None) -> bytes:
    """A canonical form of the field for cache keys: equal exactly if the same codings are accepted in the same order.

    Codings this server cannot make stand behind, sorted, for an origin may: one stored answer never reaches a client
    that cannot decode it.
    """
    if not value:
        return IDENTITY
    return _negotiated(value)[1] if len(value) <= _MEMO_LONGEST else _negotiate(value)[1]


def _negotiate(value: bytes) -> tuple[tuple[bytes, ...], bytes]:
    weights = _weights(value)
    anything = weights.pop(b"*", None)
    ranked: list[tuple[float, int, bytes]] = []
    for place, coding in enumerate(_OFFERED):
        weight = weights.get(coding, anything)
        if coding == IDENTITY and coding not in weights and anything != 0:
            weight = 0.0001  # acceptable without being asked for: behind everything that is
        if weight:
            ranked.append((-weight, place, coding))
    accepted = tuple(coding for _, _, coding in sorted(ranked))
    others = sorted(coding for coding, weight in weights.items() if weight and coding not in _OFFERED)
    return accepted, b",".join((*accepted, *others, *((b"*",) if anything else ())))


_negotiated = lru_cache(maxsize=1024)(_negotiate)


def _weights(value: bytes) -> dict[bytes, float]:
    """Weight by coding, in lower case; malformed members are left out."""
    weights: dict[bytes, float] = {}
    for member in members(value.lower()):
        match = _MEMBER.fullmatch(member)
        if match is not None:
            weights[_ALIASES.get(match[1], match[1])] = 1.0 if match[2] is None else float(match[2])
    return weights


def vary_on(response: Response, name: bytes) -> None:
    """Name a request field (in lower case) in Vary, unless it stands there already or Vary is ``*``."""
    present = response.get(b"vary")
    if present is None:
        response.set(b"vary", name)
    elif not tokens(present) & {name, b"*"}:
        response.add(b"vary", name)
