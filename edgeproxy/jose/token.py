"""Verifies one JWT in compact form (RFC 7515 §5.2, RFC 7519 §7.2), strictly: what is odd is refused (RFC 8725)."""

from __future__ import annotations

import json
import math
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn

from jwt.algorithms import Algorithm, get_default_algorithms

from edgeproxy.jose.keys import KeySet

MAX_BYTES = 8192
MAX_BRACKETS = 512  # so no value is nested deeper than that

_ALGORITHMS: Mapping[str, Algorithm] = get_default_algorithms()
# Keys a token brings or points to itself, and extensions we would have to understand (RFC 7515 §4.1.11).
_REFUSED_HEADERS = frozenset(("jwk", "jku", "x5u", "x5c", "crit", "b64", "zip", "enc"))
# Access tokens and plain ones (RFC 9068 §2.1); a token of another kind is not to pass for one (RFC 8725 §3.11).
_TYPES = frozenset(("jwt", "at+jwt"))


class TokenError(Exception):
    """The token is not accepted. The text is one of a few fixed ones, fit for error_description (RFC 6750 §3)."""


class UnknownKeyError(TokenError):
    """The token's key is not in the set, or the token does not say which it is; a fresher set may have it."""


@dataclass(frozen=True)
class Expectations:
    """What a token must say. ``algorithms`` are the allowed ones; ``leeway`` in seconds; empty sets ask for nothing."""

    algorithms: frozenset[str]
    issuers: frozenset[str] = frozenset()
    audiences: frozenset[str] = frozenset()
    leeway: float = 0.0
    expiry_required: bool = True


def verify(token: bytes, keys: KeySet, expected: Expectations, now: float) -> dict[str, Any]:
    """The claims of a valid token; ``now`` in Unix seconds. Raises TokenError."""
    if len(token) > MAX_BYTES:
        raise TokenError("The token is too large")
    parts = token.split(b".")
    if len(parts) != 3:
        raise TokenError("The token is malformed")
    header = _object(_decode(parts[0]))
    algorithm, kid = header.get("alg"), header.get("kid")
    if not isinstance(algorithm, str) or algorithm not in expected.algorithms:
        raise TokenError("The token's algorithm is not accepted")
    kind = header.get("typ", "JWT")
    if not isinstance(kind, str) or kind.lower().removeprefix("application/") not in _TYPES:
        raise TokenError("The token is of another type")
    if not _REFUSED_HEADERS.isdisjoint(header) or not isinstance(kid, str | None):
        raise TokenError("The token's header is not accepted")
    candidates = keys.candidates(kid, algorithm)
    if candidates is None:
        _say_no(parts[1], expected, now)
        raise UnknownKeyError("The token's key is not known")
    signed, signature = token[: len(token) - len(parts[2]) - 1], _decode(parts[2])
    verifier = _ALGORITHMS[algorithm]
    if not any(verifier.verify(signed, key.material, signature) for key in candidates):
        if kid is None or not any(key.kid == kid for key in candidates):
            _say_no(parts[1], expected, now)
            raise UnknownKeyError("The token's signature is wrong")
        raise TokenError("The token's signature is wrong")
    claims = _object(_decode(parts[1]))
    check_claims(claims, expected, now)
    return claims


def _say_no(payload: bytes, expected: Expectations, now: float) -> None:
    """Raises TokenError if the claims would be refused whatever the key: such a token need not wait for one."""
    check_claims(_object(_decode(payload)), expected, now)


def unverified_issuer(token: bytes) -> str | None:
    """Who a token says it is from, for choosing whose keys to verify it with. Raises TokenError."""
    parts = token.split(b".") if len(token) <= MAX_BYTES else []
    if len(parts) != 3:
        raise TokenError("The token is malformed")
    issuer = _object(_decode(parts[1])).get("iss")
    return issuer if isinstance(issuer, str) else None


def check_claims(claims: Mapping[str, Any], expected: Expectations, now: float) -> None:
    """Raises TokenError if a registered claim (RFC 7519 §4.1) has a wrong type or says no."""
    expires, not_before, _ = (_time(claims, name) for name in ("exp", "nbf", "iat"))
    if expires is None and expected.expiry_required:
        raise TokenError("The token does not expire")
    if expires is not None and now >= expires + expected.leeway:
        raise TokenError("The token has expired")
    if not_before is not None and now < not_before - expected.leeway:
        raise TokenError("The token is not valid yet")
    for name in ("iss", "sub", "jti"):
        if not isinstance(claims.get(name, ""), str):
            raise TokenError("The token's claims are malformed")
    if expected.issuers and claims.get("iss") not in expected.issuers:
        raise TokenError("The token's issuer is not accepted")
    audience = claims.get("aud", [])
    audiences = [audience] if isinstance(audience, str) else audience
    if not isinstance(audiences, list) or not all(isinstance(one, str) for one in audiences):
        raise TokenError("The token's claims are malformed")
    if expected.audiences and expected.audiences.isdisjoint(audiences):
        raise TokenError("The token is for another audience")


def _time(claims: Mapping[str, Any], name: str) -> float | None:
    value = claims.get(name)
    if name not in claims:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not abs(value) < 1e12:
        raise TokenError("The token's claims are malformed")
    return value


def _decode(part: bytes) -> bytes:
    """Base64url without padding, and in the one canonical form: a token cannot be written in two ways."""
    try:
        decoded = urlsafe_b64decode(part + b"=" * (-len(part) % 4))
    except ValueError:
        raise TokenError("The token is malformed") from None
    if urlsafe_b64encode(decoded).rstrip(b"=") != part:
        raise TokenError("The token is malformed")
    return decoded


def _object(data: bytes) -> dict[str, Any]:
    if data.count(b"[") + data.count(b"{") > MAX_BRACKETS:
        raise TokenError("The token is malformed")
    try:
        value = json.loads(
            data.decode("utf-8"), object_pairs_hook=_unique, parse_constant=_no_number, parse_float=_finite
        )
    except (ValueError, RecursionError):
        raise TokenError("The token is malformed") from None
    if not isinstance(value, dict):
        raise TokenError("The token is malformed")
    return value


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """RFC 7519 §4: two claims of one name would be read differently by different readers."""
    members = dict(pairs)
    if len(members) != len(pairs):
        raise ValueError("a name occurs twice")
    return members


def _no_number(text: str) -> NoReturn:
    raise ValueError(f"{text} is not JSON")


def _finite(text: str) -> float:
    number = float(text)
    if not math.isfinite(number):
        raise ValueError("a number is too large")
    return number
