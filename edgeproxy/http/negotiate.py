"""Content negotiation: Accept-Encoding (RFC 9110 §12.5.3), parsed with its weights, and Vary (RFC 9110 §12.5.5)."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Final

from edgeproxy.http.headers import members, tokens
from edgeproxy.http.message import Response

IDENTITY: Final = b"identity"

# The codings this server can make, the one it likes best first: it decides between equal weights.
PREFERENCE: Final[tuple[bytes, ...]] = (b"br", b"zstd", b"gzip")

_ALIASES: Final[dict[bytes, bytes]] = {b"x-gzip": b"gzip", b"x-compress": b"compress"}  # RFC 9110 §8.4.1
_MEMBER: Final = re.compile(rb"([!#$%&'*+.^_`|~0-9a-z-]+)(?:[ \t]*;[ \t]*q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?))?")
_WEIGHT: Final = re.compile(rb"q[ \t]*=[ \t]*(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)")
_MEMO_LONGEST: Final = 256  # longer values are parsed, but not remembered
_UNASKED: Final = 0.0001  # identity that nobody named is acceptable, behind everything that somebody did


def accepted_encodings(value: bytes | None, preference: tuple[bytes, ...] = PREFERENCE) -> tuple[bytes, ...]:
    """The codings out of ``preference`` and identity that the client accepts, the one to choose first.

    By weight, then in the order of ``preference``, with identity behind its equals; identity is left out only if the
    client refuses it. A client that does not send the field, or sends it empty, gets identity: not naming any coding
    allows all of them, but those who name none rarely can decode one.
    """
    if not value:
        return (IDENTITY,)
    return _accepted(value, preference) if len(value) <= _MEMO_LONGEST else _rank(_weights(value), preference)


def normalize_encoding(value: bytes | None) -> bytes:
    """A canonical form of the field for cache keys: the same codings accepted in the same order have one.

    Codings this server cannot make stand behind, sorted, for an origin may: one stored answer never reaches a client
    that cannot decode it.
    """
    if not value:
        return IDENTITY
    return _normalized(value) if len(value) <= _MEMO_LONGEST else _normalize(value)


def normalize_weights(value: bytes) -> bytes:
    """A canonical form of Accept, Accept-Charset or Accept-Language (RFC 9110 §12.5).

    Members are in lower case, by falling weight and then by name, each with its weight unless that is 1. A value with a
    parameter in quotes stays as it is.
    """
    if b'"' in value:
        return value
    return _weights_normalized(value) if len(value) <= _MEMO_LONGEST else _normalize_weights(value)


def vary_on(response: Response, name: bytes) -> None:
    """Name a request field (in lower case) in Vary, unless it stands there already or Vary is ``*``."""
    present = response.get(b"vary")
    if present is None:
        response.set(b"vary", name)
    elif not tokens(present) & {name, b"*"}:
        response.add(b"vary", name)


def _rank(weights: dict[bytes, float], preference: tuple[bytes, ...]) -> tuple[bytes, ...]:
    anything = weights.get(b"*", 0.0)
    unasked = 0.0 if weights.get(b"*") == 0 else _UNASKED
    ranked = [(-weights.get(coding, anything), place, coding) for place, coding in enumerate(preference)]
    ranked.append((-weights.get(IDENTITY, unasked), len(preference), IDENTITY))
    return tuple(coding for weight, _, coding in sorted(ranked) if weight)


def _normalize(value: bytes) -> bytes:
    weights = _weights(value)
    accepted = _rank(weights, PREFERENCE)
    others = sorted(coding for coding, weight in weights.items() if weight and coding not in accepted)
    return b",".join((*accepted, *others))


@lru_cache(maxsize=1024)
def _accepted(value: bytes, preference: tuple[bytes, ...]) -> tuple[bytes, ...]:
    return _rank(_weights(value), preference)


_normalized: Final = lru_cache(maxsize=1024)(_normalize)


def _normalize_weights(value: bytes) -> bytes:
    ranked: set[tuple[float, bytes]] = set()
    for member in members(value.lower()):
        name, *parameters = [part.strip(b" \t") for part in member.split(b";")]
        weight = 1.0
        for parameter in parameters:
            told = _WEIGHT.fullmatch(parameter)
            if told is None:
                name += b";" + parameter
            else:
                weight = float(told[1])
        ranked.add((-weight, name))
    return b",".join([name if weight == -1 else b"%b;q=%g" % (name, -weight) for weight, name in sorted(ranked)])


_weights_normalized: Final = lru_cache(maxsize=1024)(_normalize_weights)


def _weights(value: bytes) -> dict[bytes, float]:
    """Weight by coding, in lower case; malformed members are left out."""
    weights: dict[bytes, float] = {}
    for member in members(value.lower()):
        match = _MEMBER.fullmatch(member)
        if match is not None:
            weights[_ALIASES.get(match[1], match[1])] = 1.0 if match[2] is None else float(match[2])
    return weights
